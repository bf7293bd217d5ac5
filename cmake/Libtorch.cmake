# Imported targets for one libtorch, found by explicit path: Libtorch::libtorch (headers and libraries of the same root).
# No find_package(Torch): with a CUDA wheel it demands a CUDA toolkit, and with a system libtorch it may mix the two.
set(MERGE_LM_LIBTORCH "$ENV{MERGE_LM_LIBTORCH}" CACHE PATH "torch/ of a wheel, or an unpacked libtorch")
if(NOT MERGE_LM_LIBTORCH)
  message(FATAL_ERROR "MERGE_LM_LIBTORCH: expected a folder with include/ and lib/, received nothing. "
                      "Use `npm run build`, or pass -DMERGE_LM_LIBTORCH=/path/to/torch.")
endif()
get_filename_component(_root "${MERGE_LM_LIBTORCH}" REALPATH)

# 1) headers and libraries must come from one installation, also when single files of it are links
set(_version_header "${_root}/include/torch/headeronly/version.h")
if(NOT EXISTS "${_version_header}")
  set(_version_header "${_root}/include/torch/csrc/api/include/torch/version.h")
endif()
foreach(_part "${_version_header}" "${_root}/lib/libtorch.so" "${_root}/lib/libtorch_cpu.so" "${_root}/lib/libc10.so")
  if(NOT EXISTS "${_part}")
    message(FATAL_ERROR "MERGE_LM_LIBTORCH: ${_root} lacks ${_part}")
  endif()
  get_filename_component(_real "${_part}" REALPATH)
  string(REGEX REPLACE "/(lib/[^/]*|include/torch/(headeronly|csrc/api/include/torch)/version\\.h)$" "" _home "${_real}")
  if(NOT DEFINED _first_home)
    set(_first_home "${_home}")
  elseif(NOT _home STREQUAL _first_home)
    message(FATAL_ERROR "MERGE_LM_LIBTORCH: headers and libraries come from different places: "
                        "${_first_home} and ${_home}")
  endif()
endforeach()

# 2) the version gate, on the headers and on what the wheel says of itself
file(STRINGS "${_version_header}" _lines REGEX "^#define TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
string(REGEX REPLACE "[^0-9;]" "" _numbers "${_lines}")
string(REPLACE ";" "." LIBTORCH_VERSION "${_numbers}")
if(LIBTORCH_VERSION VERSION_LESS 2.11 OR NOT LIBTORCH_VERSION VERSION_LESS 2.15)
  message(FATAL_ERROR "libtorch: expected version 2.11 to 2.14, received ${LIBTORCH_VERSION} in ${_root}")
endif()
if(EXISTS "${_root}/version.py")
  file(STRINGS "${_root}/version.py" _python REGEX "^__version__ = ")
  string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" _python "${_python}")
  if(NOT _python VERSION_EQUAL LIBTORCH_VERSION)
    message(FATAL_ERROR "libtorch: headers say ${LIBTORCH_VERSION}, version.py says ${_python}: two installations mixed")
  endif()
endif()

# 3) the targets; OpenMP's runtime is the one libtorch brings, never a second one
file(GLOB _gomp "${_root}/lib/libgomp*.so*")
if(NOT _gomp)
  set(_gomp gomp)
endif()
set(LIBTORCH_LIBRARY_DIR "${_root}/lib")
add_library(libtorch INTERFACE)
add_library(Libtorch::libtorch ALIAS libtorch)
target_include_directories(libtorch SYSTEM INTERFACE "${_root}/include" "${_root}/include/torch/csrc/api/include")
target_compile_options(libtorch INTERFACE -fopenmp)
# One item, so that CMake keeps the order; libtorch.so stays NEEDED although nothing of it is used by name (CUDA needs it).
target_link_libraries(libtorch INTERFACE
  "-Wl,--no-as-needed,${_root}/lib/libtorch.so,${_root}/lib/libtorch_cpu.so,${_root}/lib/libc10.so -Wl,--as-needed"
  ${_gomp})
target_link_options(libtorch INTERFACE "-Wl,-rpath-link,${_root}/lib")
if(EXISTS "${_root}/lib/libtorch_cuda.so")
  set(LIBTORCH_KIND cuda)
else()
  set(LIBTORCH_KIND cpu)
endif()
message(STATUS "libtorch ${LIBTORCH_VERSION} (${LIBTORCH_KIND}): ${_root}")
