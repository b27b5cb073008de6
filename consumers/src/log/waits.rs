//! Waits that no administrator prolongs.
//!
//! librdkafka measures a wait by the wall clock, through C11's `cnd_timedwait`: where the clock is
//! set back by an hour meanwhile, the wait takes an hour longer, and with it whoever waits for that
//! thread (librdkafka's issue 2145). The function here is linked in the place of glibc's. It asks
//! how much of the wait is left, and waits for that by a clock that nobody sets.
#![allow(unsafe_code)]

use std::{io::Error, mem::MaybeUninit};

use libc::{CLOCK_MONOTONIC, CLOCK_REALTIME, ETIMEDOUT, c_int, clockid_t, timespec};

/// How a wait ends, by `<threads.h>` of glibc: `thrd_success`, `thrd_error`, `thrd_timedout`.
const SUCCESS: c_int = 0;
const ERROR: c_int = 2;
const TIMED_OUT: c_int = 4;
const NANOS: i128 = 1_000_000_000;

unsafe extern "C" {
    /// glibc 2.30 and newer; the clock is named for this wait only.
    fn pthread_cond_clockwait(
        condition: *mut libc::pthread_cond_t,
        mutex: *mut libc::pthread_mutex_t,
        clock: clockid_t,
        until: *const timespec,
    ) -> c_int;
}

/// As in C11: waits for a signal until a time of the wall clock. In glibc `cnd_t` and `mtx_t` are
/// `pthread_cond_t` and `pthread_mutex_t` by other names.
///
/// # Safety
/// The caller holds the mutex, and all three point to what they should.
#[unsafe(no_mangle)]
unsafe extern "C" fn cnd_timedwait(
    condition: *mut libc::pthread_cond_t,
    mutex: *mut libc::pthread_mutex_t,
    until: *const timespec,
) -> c_int {
    // SAFETY: the caller's promise is passed on, and `until` lives through the call.
    let ended = unsafe {
        let left = nanos(&*until) - nanos(&now(CLOCK_REALTIME));
        let until = at(nanos(&now(CLOCK_MONOTONIC)) + left.max(0));
        pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &raw const until)
    };
    match ended {
        0 => SUCCESS,
        ETIMEDOUT => TIMED_OUT,
        _ => ERROR,
    }
}

fn now(clock: clockid_t) -> timespec {
    let mut time = MaybeUninit::zeroed();
    // SAFETY: both clocks exist on every Linux, and zeroed integers are a time as well.
    unsafe {
        let done = libc::clock_gettime(clock, time.as_mut_ptr());
        debug_assert_eq!(done, 0, "{}", Error::last_os_error());
        time.assume_init()
    }
}

fn nanos(time: &timespec) -> i128 {
    i128::from(time.tv_sec) * NANOS + i128::from(time.tv_nsec)
}

fn at(nanos: i128) -> timespec {
    timespec {
        tv_sec: i64::try_from(nanos / NANOS).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(nanos % NANOS).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// Waits for a signal that nobody gives, until so many milliseconds from now.
    fn wait(millis: i128) -> (c_int, Duration) {
        let (mut condition, mut mutex) =
            (libc::PTHREAD_COND_INITIALIZER, libc::PTHREAD_MUTEX_INITIALIZER);
        let until = at(nanos(&now(CLOCK_REALTIME)) + millis * 1_000_000);
        let begun = Instant::now();
        // SAFETY: all three live through the call, and nobody else knows them.
        let ended = unsafe {
            libc::pthread_mutex_lock(&raw mut mutex);
            cnd_timedwait(&raw mut condition, &raw mut mutex, &raw const until)
        };
        (ended, begun.elapsed())
    }

    #[test]
    fn a_wait_ends_when_it_is_due() {
        let (ended, took) = wait(50);
        assert_eq!(ended, TIMED_OUT);
        assert!(took >= Duration::from_millis(49), "{took:?}");
        assert_eq!(wait(-1_000).0, TIMED_OUT, "due in the past");
    }
}
