/* The clock on the wall, AHEAD seconds ahead: for processes that would wait for hours. The clocks that measure spans of
   time stay as they are. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
  int failed = (int)syscall(SYS_clock_gettime, clock, now);
  if (!failed && clock == CLOCK_REALTIME) now->tv_sec += AHEAD;
  return failed;
}
