// Element types of stored tensors: conversion to fp32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "switchyard/dtype.h"

namespace switchyard {

// Exact: every f16 and bf16 value is an fp32 value.
float f16_to_f32(std::uint16_t bits);
float bf16_to_f32(std::uint16_t bits);
// Round to nearest, ties to even; overflow gives infinity and a NaN stays a NaN.
std::uint16_t f32_to_f16(float value);
std::uint16_t f32_to_bf16(float value);

bool is_floating(DType dtype);

// `bytes` holds out.size() elements of floating or quantised type `dtype`, whole blocks. f64 is
// rounded to nearest; quantised values are those that the format defines (quant/quant.h).
void convert_to_f32(DType dtype, std::span<const std::byte> bytes, std::span<float> out);

}  // namespace switchyard
