// The speed of plain matrix products on this machine: what training speed is stated against.
#pragma once

namespace switchyard::train {

// GFLOP/s of fp32 products of 1024 x 1024 matrices with the threads torch is set to, the best of
// several; takes about a tenth of a second.
double measure_gemm_gflops();

}  // namespace switchyard::train
