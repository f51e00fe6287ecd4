// Feeds SafeTensors::parse: what it takes, it must write and read again as the same.
#include <normnet/core/error.hpp>
#include <normnet/io/safetensors.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace normnet;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const SafeTensors tensors = SafeTensors::parse({reinterpret_cast<const char*>(data), size});
    if (!(SafeTensors::parse(tensors.to_bytes()) == tensors)) std::abort();
    for (const auto& [name, entry] : tensors.entries()) {
      if (entry.dtype == "F32" && tensors.get<float>(name).shape() != entry.shape) std::abort();
      if (entry.dtype == "F64" && tensors.get<double>(name).shape() != entry.shape) std::abort();
    }
  } catch (const Error&) {  // the answer to everything else
  }
  return 0;
}
