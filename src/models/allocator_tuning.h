// Keeps freed memory inside the process. glibc gives every large buffer back to the system when it
// is freed, and a training step frees and asks for the same buffers again: the page faults took
// half of the time of an MoE layer.
#pragma once

namespace switchyard::models {

// Call once at the start of a program that trains. It raises the thresholds of glibc's malloc for
// the whole process; a program that must give memory back should not call it. Does nothing on
// another C library. Returns whether it did.
bool keep_freed_memory();

}  // namespace switchyard::models
