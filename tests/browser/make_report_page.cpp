// Writes report.html into the folder of a results.json: for report_test.py, which then looks at the page.
//
//   make_report_page FOLDER [--without-chart-library]
#include <cifar10_norms/report_page.hpp>

#include <nlohmann/json.hpp>

#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "make_report_page: expected a folder\n";
    return 2;
  }
  try {
    const std::filesystem::path folder = argv[1];
    std::ifstream file(folder / "results.json");
    const auto results = nlohmann::ordered_json::parse(file);
    if (argc > 2 && std::string(argv[2]) == "--without-chart-library") {
      cifar10_norms::write_report_page(results, folder, "");
    } else {
      cifar10_norms::write_report_page(results, folder);
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "make_report_page: " << error.what() << "\n";
    return 1;
  }
}
