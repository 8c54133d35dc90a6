/* A disk that fails: loaded before libc, it fails what a database does to its log while a file is
   there. The file's path is in SICK_DISK; its first letter says what fails: 's' syncs (EIO), 'w'
   writes (ENOSPC). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    return strstr(name, "/pg_wal/") != NULL;
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
    if (!fails(fd, 'w'))
        return REAL(pwrite)(fd, data, bytes, at);
    errno = ENOSPC;
    return -1;
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t at)
{
    if (!fails(fd, 'w'))
        return REAL(pwrite64)(fd, data, bytes, at);
    errno = ENOSPC;
    return -1;
}
