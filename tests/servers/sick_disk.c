/* A disk that fails: loaded before libc, it fails what a database does to its files while another file
   is there. That one's path is in SICK_DISK; its first letter says what fails: 's' syncs of the log
   (EIO), 'w' writes to it, 'g' whatever makes a file of data longer (ENOSPC). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int fails(int fd, char what)
{
    const char *path = getenv("SICK_DISK");
    char link[64], name[4096], letter = 0;
    int file, saved = errno;
    ssize_t length;

    if (path == NULL || (file = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
        errno = saved;
        return 0;
    }
    if (read(file, &letter, 1) != 1)
        letter = 0;
    close(file);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, name, sizeof name - 1);
    errno = saved;
    if (letter != what || length < 0)
        return 0;
    name[length] = 0;
    return strstr(name, what == 'g' ? "/data/" : "/pg_wal/") != NULL;
}

static int is_full(int fd, off64_t end)
{
    struct stat stat;

    return fails(fd, 'w') || (fails(fd, 'g') && fstat(fd, &stat) == 0 && end > stat.st_size);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fdatasync(int fd)
{
    if (!fails(fd, 's'))
        return REAL(fdatasync)(fd);
    errno = EIO;
    return -1;
}

int fsync(int fd)
{
    if (!fails(fd, 's'))
        return REAL(fsync)(fd);
    errno = EIO;
    return -1;
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at)
{
    if (!is_full(fd, at + bytes))
        return REAL(pwrite)(fd, data, bytes, at);
    errno = ENOSPC;
    return -1;
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t at)
{
    if (!is_full(fd, at + bytes))
        return REAL(pwrite64)(fd, data, bytes, at);
    errno = ENOSPC;
    return -1;
}

int fallocate(int fd, int mode, off_t at, off_t bytes)
{
    if (!is_full(fd, at + bytes))
        return REAL(fallocate)(fd, mode, at, bytes);
    errno = ENOSPC;
    return -1;
}

int fallocate64(int fd, int mode, off64_t at, off64_t bytes)
{
    if (!is_full(fd, at + bytes))
        return REAL(fallocate64)(fd, mode, at, bytes);
    errno = ENOSPC;
    return -1;
}
