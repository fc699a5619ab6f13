// How many threads libtorch and the BLAS behind it use.
#pragma once

namespace switchyard::train {

// 0: one a core this process may use. Sets libtorch's own loops, and OpenBLAS, which keeps threads
// of its own that libtorch does not know of. For the whole process.
void set_torch_threads(int threads);

}  // namespace switchyard::train
