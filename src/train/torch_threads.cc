#include "train/torch_threads.h"

#include <dlfcn.h>

#include <ATen/Parallel.h>

#include "switchyard/thread_pool.h"

namespace switchyard::train {

void set_torch_threads(int threads) {
  const int count = threads > 0 ? threads : available_cores();
  at::set_num_threads(count);
  // Looked up by name: another BLAS may stand behind libtorch.
  if (void* symbol = dlsym(RTLD_DEFAULT, "openblas_set_num_threads")) {
    reinterpret_cast<void (*)(int)>(symbol)(count);
  }
}

}  // namespace switchyard::train
