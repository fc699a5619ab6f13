// One libFuzzer target for each row of the table: SWITCHYARD_FUZZ_FORMAT is the row's name.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "switchyard/error.h"

#include "hostile/formats.h"

namespace {

const switchyard::hostile::Format& format() {
  for (const auto& f : switchyard::hostile::formats()) {
    if (f.name == SWITCHYARD_FUZZ_FORMAT) return f;
  }
  std::fprintf(stderr, "no format %s in the table\n", SWITCHYARD_FUZZ_FORMAT);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto& attacked = format();
  try {
    attacked.read({reinterpret_cast<const char*>(data), size});
  } catch (const switchyard::Error& error) {
    if (error.parts().what.empty() || error.parts().where.empty()) std::abort();
  }
  return 0;
}
