// The precompiled header of every target that uses libtorch (cmake/PrecompiledHeaders.cmake).
// Sources include what they use as if it did not exist.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// Not torch/torch.h: what its headers leave to be instantiated, every source that uses the
// precompiled header instantiates anew.
#include <torch/autograd.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>
