// Makes one operation on files below a folder fail, or all from one on: cc -shared -fPIC -o faults.so faults.c -ldl, then LD_PRELOAD.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST 4096
static char below[4096];
static long count, first;
static int error, sticky, counting;
static char mine[MOST];     // descriptors of files and folders below
static char last[64];       // the operation that failed

void fault_arm(const char *folder, long n, int number, int on) {
  strncpy(below, folder, sizeof below - 1);
  count = 0, first = n, error = number, sticky = on, counting = 1, last[0] = 0;
}
long fault_disarm(void) { counting = 0; return count; }
const char *fault_last(void) { return last; }

static int known(int fd) { return fd >= 0 && fd < MOST && mine[fd]; }
static int here(int folder, const char *path) {
  if (!path || !below[0]) return 0;
  return path[0] == '/' ? !strncmp(path, below, strlen(below)) : known(folder);
}
static int fails(const char *what) {
  if (!counting) return 0;
  long n = __sync_add_and_fetch(&count, 1);
  if (!first || n < first || (n > first && !sticky)) return 0;
  if (!last[0]) strncpy(last, what, sizeof last - 1);
  errno = error;
  return 1;
}
#define NEXT(name) static __typeof__(name) *next; if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define OPEN(name)                                                                  \
  int name(const char *path, int flags, ...) {                                      \
    NEXT(name);                                                                     \
    va_list a; va_start(a, flags); mode_t mode = va_arg(a, mode_t); va_end(a);      \
    int ours = here(-1, path);                                                      \
    if (ours && fails(#name)) return -1;                                            \
    int fd = next(path, flags, mode);                                               \
    if (fd >= 0 && fd < MOST) mine[fd] = ours;                                      \
    return fd;                                                                      \
  }
#define OPENAT(name)                                                                \
  int name(int folder, const char *path, int flags, ...) {                          \
    NEXT(name);                                                                     \
    va_list a; va_start(a, flags); mode_t mode = va_arg(a, mode_t); va_end(a);      \
    int ours = here(folder, path);                                                  \
    if (ours && fails(#name)) return -1;                                            \
    int fd = next(folder, path, flags, mode);                                       \
    if (fd >= 0 && fd < MOST) mine[fd] = ours;                                      \
    return fd;                                                                      \
  }
OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64)

#define PATH(type, name, bad, args, pass, path)                                     \
  type name args { NEXT(name); if (here(-1, path) && fails(#name)) return bad; return next pass; }
#define AT(name, args, pass, folder, path)                                          \
  int name args { NEXT(name); if (here(folder, path) && fails(#name)) return -1; return next pass; }
#define FD(type, name, args, pass)                                                  \
  type name args { NEXT(name); if (known(fd) && fails(#name)) return -1; return next pass; }

PATH(int, mkdir, -1, (const char *p, mode_t m), (p, m), p)
PATH(int, rmdir, -1, (const char *p), (p), p)
PATH(int, unlink, -1, (const char *p), (p), p)
PATH(int, rename, -1, (const char *p, const char *q), (p, q), q)
PATH(int, stat, -1, (const char *p, struct stat *s), (p, s), p)
PATH(int, lstat, -1, (const char *p, struct stat *s), (p, s), p)
PATH(int, stat64, -1, (const char *p, struct stat64 *s), (p, s), p)
PATH(int, lstat64, -1, (const char *p, struct stat64 *s), (p, s), p)
AT(fstatat, (int d, const char *p, struct stat *s, int f), (d, p, s, f), d, p)
AT(fstatat64, (int d, const char *p, struct stat64 *s, int f), (d, p, s, f), d, p)
AT(statx, (int d, const char *p, int f, unsigned m, struct statx *s), (d, p, f, m, s), d, p)
AT(unlinkat, (int d, const char *p, int f), (d, p, f), d, p)
AT(mkdirat, (int d, const char *p, mode_t m), (d, p, m), d, p)
AT(renameat, (int d, const char *p, int e, const char *q), (d, p, e, q), e, q)
AT(utimensat, (int d, const char *p, const struct timespec t[2], int f), (d, p, t, f), d, p)
PATH(DIR *, opendir, NULL, (const char *p), (p), p)
FD(ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n))
FD(ssize_t, read, (int fd, void *b, size_t n), (fd, b, n))
FD(int, fsync, (int fd), (fd))
FD(int, ftruncate, (int fd, off_t n), (fd, n))
FD(int, ftruncate64, (int fd, off64_t n), (fd, n))
FD(int, fstat, (int fd, struct stat *s), (fd, s))
FD(int, fstat64, (int fd, struct stat64 *s), (fd, s))

DIR *fdopendir(int fd) { NEXT(fdopendir); if (known(fd) && fails("fdopendir")) return NULL; return next(fd); }
// Closes, and then fails, as it may over a network.
int close(int fd) {
  NEXT(close);
  int bad = known(fd) && fails("close");
  if (fd >= 0 && fd < MOST) mine[fd] = 0;
  int number = errno, done = next(fd);
  if (bad) { errno = number; return -1; }
  return done;
}
