// What this machine can do at most, measured now: the numbers a speed is compared with. A speed
// without its limit from the same run says little on a machine that others use too.
#pragma once

#include <cstddef>

#include "switchyard/thread_pool.h"

namespace switchyard::kernels {

struct KernelSet;

// Bytes read from memory per second, in 10^9: all threads of the pool read a buffer of `bytes`
// front to back with the widest loads this CPU has; the best of several passes. `bytes` should be
// several times the last-level cache. Allocates `bytes`; takes about a tenth of a second per GiB
// read, eight times the buffer in all.
double measure_dram_read_gbps(ThreadPool& pool, std::size_t bytes = std::size_t{256} << 20);

// Fused multiply-adds on registers, two operations each, in 10^9 operations per second over all
// threads of the pool; the best of several bursts, about 0.2 s in all.
double measure_fma_gflops(ThreadPool& pool);

// Products of 8-bit numbers on registers, summed, two operations each: as above. (AVX2: summed to
// 16 bits, which no long sum can stay in; so it is a bound, not a target.)
double measure_integer_gops(ThreadPool& pool);
// Of one set's instructions.
double measure_integer_gops(ThreadPool& pool, const KernelSet& set);

}  // namespace switchyard::kernels
