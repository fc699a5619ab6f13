// The precompiled header of every target that uses libtorch (cmake/TorchTarget.cmake). Sources
// include what they use as if it did not exist.
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

#include <torch/torch.h>
