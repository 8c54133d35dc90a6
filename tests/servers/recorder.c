/* A disk that remembers: loaded before libc, it notes what a process does to the files of one folder,
   in the order in which it did it, so that a power cut at any moment can be looked at afterwards.

   POWER_CUT_FOLDER is the folder, POWER_CUT_LOG the notes: a head as below, and the bytes that it
   counts. What was written is noted after it was written, and the beginning of a sync before it
   begins: so nothing is taken for synced that might not be. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct head {
    char what[8]; /* create, unlink, write, cut, begin, synced */
    uint64_t file, at, bytes;
};

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int notes = -1;
static uint64_t syncs;

static void note(const char *what, uint64_t file, uint64_t at, const void *data, size_t bytes)
{
    struct head head = {{0}, file, at, bytes};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, bytes}};
    int saved = errno;

    strncpy(head.what, what, sizeof head.what);
    pthread_mutex_lock(&mutex);
    if (notes < 0)
        notes = syscall(SYS_openat, AT_FDCWD, getenv("POWER_CUT_LOG"),
                        O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (syscall(SYS_writev, notes, parts, 2) != (long)(sizeof head + bytes))
        abort();
    pthread_mutex_unlock(&mutex);
    errno = saved;
}

/* The name within the folder, empty for the folder itself; none for what is elsewhere. */
static const char *within(const char *path)
{
    const char *folder = getenv("POWER_CUT_FOLDER");
    size_t length = folder == NULL ? 0 : strlen(folder);

    if (length == 0 || strncmp(path, folder, length) != 0)
        return NULL;
    if (path[length] == 0)
        return "";
    return path[length] == '/' ? path + length + 1 : NULL;
}

/* The file's number, if it stands in the folder; else 0. */
static uint64_t known(int fd)
{
    char link[64], path[4096];
    struct stat stat;
    int saved = errno;
    ssize_t length;
    uint64_t file = 0;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length > 0) {
        path[length] = 0;
        if (within(path) != NULL && fstat(fd, &stat) == 0)
            file = stat.st_ino;
    }
    errno = saved;
    return file;
}

static int opened(int fd, const char *path, int was_there)
{
    struct stat stat;

    if (fd >= 0 && !was_there && within(path) != NULL && fstat(fd, &stat) == 0)
        note("create", stat.st_ino, 0, within(path), strlen(within(path)));
    return fd;
}

#define OPEN(name)                                                                    \
    int name(const char *path, int flags, ...)                                        \
    {                                                                                 \
        int mode = 0, was_there = !(flags & O_CREAT) || access(path, F_OK) == 0;      \
        va_list rest;                                                                 \
        va_start(rest, flags);                                                        \
        if (flags & O_CREAT)                                                          \
            mode = va_arg(rest, int);                                                 \
        va_end(rest);                                                                 \
        return opened(REAL(name)(path, flags, mode), path, was_there);                \
    }

OPEN(open)
OPEN(open64)

int unlink(const char *path)
{
    struct stat stat;
    int inside = within(path) != NULL && lstat(path, &stat) == 0, result = REAL(unlink)(path);

    if (result == 0 && inside)
        note("unlink", stat.st_ino, 0, within(path), strlen(within(path)));
    return result;
}

static ssize_t written(ssize_t result, int fd, const void *data, off64_t at)
{
    uint64_t file = result > 0 ? known(fd) : 0;

    if (file != 0)
        note("write", file, at, data, result);
    return result;
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at)
{
    return written(REAL(pwrite)(fd, data, bytes, at), fd, data, at);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t at)
{
    return written(REAL(pwrite64)(fd, data, bytes, at), fd, data, at);
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    ssize_t result = REAL(write)(fd, data, bytes);

    if (result <= 0 || known(fd) == 0)
        return result;
    return written(result, fd, data, lseek64(fd, 0, SEEK_CUR) - result);
}

static int shortened(int result, int fd, off64_t bytes)
{
    uint64_t file = result == 0 ? known(fd) : 0;

    if (file != 0)
        note("cut", file, bytes, NULL, 0);
    return result;
}

int ftruncate(int fd, off_t bytes)
{
    return shortened(REAL(ftruncate)(fd, bytes), fd, bytes);
}

int ftruncate64(int fd, off64_t bytes)
{
    return shortened(REAL(ftruncate64)(fd, bytes), fd, bytes);
}

/* The power stays on while it is recorded, so nothing has to be waited for but for a while: others
   shall write meanwhile. */
static int synced(int fd, int (*real)(int))
{
    uint64_t file = known(fd), sync;

    if (file == 0)
        return real(fd);
    sync = __atomic_add_fetch(&syncs, 1, __ATOMIC_RELAXED);
    note("begin", file, sync, NULL, 0);
    usleep(200);
    note("synced", file, sync, NULL, 0);
    return 0;
}

int fsync(int fd)
{
    return synced(fd, REAL(fsync));
}

int fdatasync(int fd)
{
    return synced(fd, REAL(fdatasync));
}
