// Uses the library's safetensors files, and with them nlohmann's JSON.
#include <normnet/io/safetensors.hpp>

int main() {
  normnet::SafeTensors tensors;
  tensors.add("weight", normnet::Tensor<float>({2, 3}));
  return normnet::SafeTensors::parse(tensors.to_bytes()) == tensors ? 0 : 1;
}
