// A locale in which 1234.5 is written 1.234,5: what programs read again must not change in it.
#pragma once

#include <clocale>
#include <locale>
#include <string>

namespace normnet::test {

/// As long as it lives, C++'s global locale writes a comma for the decimal point and points between thousands, and C's is German
/// where the system has that one. It needs no locale to be installed.
class GermanLocale {
 public:
  GermanLocale()
      : c_before_(std::setlocale(LC_ALL, nullptr)),
        before_(std::locale::global(std::locale(std::locale::classic(), new Punctuation))) {
    for (const char* const name : {"de_DE.UTF-8", "de_DE.utf8", "de_DE"}) {
      if (std::setlocale(LC_ALL, name) != nullptr) break;
    }
  }
  ~GermanLocale() {
    std::locale::global(before_);
    std::setlocale(LC_ALL, c_before_.c_str());
  }
  GermanLocale(const GermanLocale&) = delete;
  GermanLocale& operator=(const GermanLocale&) = delete;

 private:
  struct Punctuation final : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };

  std::string c_before_;
  std::locale before_;
};

}  // namespace normnet::test
