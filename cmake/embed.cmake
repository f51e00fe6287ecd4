# Writes a C++ file with the bytes of files, each as a function that returns them:
#
#   cmake -DOUT=page.cpp -DNAMESPACE=ns -DNAMES=css;js "-DFILES=page.css;basics.js,page.js" -P embed.cmake
#
# defines std::string_view ns::css() and ns::js(). Several files with commas between them are put together; an empty entry, or
# one that is false for CMake (as OFF), stands for no bytes.
set(text "// Made by cmake/embed.cmake.\n#include <string_view>\n\nnamespace ${NAMESPACE} {\n")
foreach(name files IN ZIP_LISTS NAMES FILES)
  set(bytes "")
  if(files)
    string(REPLACE "," ";" files "${files}")
    foreach(file IN LISTS files)
      file(READ "${file}" hex HEX)
      string(APPEND bytes "${hex}")
    endforeach()
  endif()
  string(LENGTH "${bytes}" length)
  math(EXPR length "${length} / 2")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND text "std::string_view ${name}();\nstd::string_view ${name}() {\n")
  string(APPEND text "  static const unsigned char bytes[] = {${bytes}0};\n")
  string(APPEND text "  return {reinterpret_cast<const char*>(bytes), ${length}};\n}\n")
endforeach()
string(APPEND text "}  // namespace ${NAMESPACE}\n")
file(WRITE "${OUT}" "${text}")
