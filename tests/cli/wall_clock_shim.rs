//! Loaded into a program before the C library: its wall clock is a day ahead while the file `WALL_AHEAD` names is there, and
//! a day behind while that of `WALL_BEHIND` is. Every other clock is left alone.
#![no_std]
#![allow(non_camel_case_types)]

use core::ffi::{c_char, c_int, c_long};

#[repr(C)]
pub struct timespec {
    seconds: i64,
    nanoseconds: c_long,
}

const SYS_CLOCK_GETTIME: c_long = if cfg!(target_arch = "x86_64") { 228 } else { 113 };
const CLOCK_REALTIME: c_int = 0;
const DAY: i64 = 86_400;

#[link(name = "c")]
unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn access(path: *const c_char, mode: c_int) -> c_int;
    fn getenv(name: *const c_char) -> *const c_char;
}

fn is_there(variable: &core::ffi::CStr) -> bool {
    // SAFETY: both take a text that ends in zero, and `getenv` answers null or one.
    unsafe {
        let path = getenv(variable.as_ptr());
        !path.is_null() && access(path, 0) == 0
    }
}

/// # Safety
/// As the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut timespec) -> c_int {
    // SAFETY: the caller's pointer goes to the system as it came.
    let answer = unsafe { syscall(SYS_CLOCK_GETTIME, clock, time) } as c_int;
    if answer == 0 && clock == CLOCK_REALTIME {
        let by = if is_there(c"WALL_AHEAD") { DAY } else if is_there(c"WALL_BEHIND") { -DAY } else { 0 };
        // SAFETY: the system has just written there.
        unsafe { (*time).seconds += by };
    }
    answer
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
