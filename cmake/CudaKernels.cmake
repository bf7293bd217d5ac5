# libmerge_cuda.so: our CUDA kernels, built by nvcc beside the engine, which opens it when a model runs on a GPU. The
# engine itself needs no CUDA toolkit. AUTO builds it for a CUDA libtorch where an nvcc is found, and
# says so; ON demands it, for a CPU libtorch, too (to prove that the kernels compile); OFF leaves it.
set(MERGE_LM_CUDA AUTO CACHE STRING "CUDA kernels: AUTO, ON or OFF")
set(MERGE_LM_CUDA_ARCHITECTURES "80;90" CACHE STRING "Compute capabilities; the last one also as PTX for later devices")
if(MERGE_LM_CUDA STREQUAL OFF)
  return()
endif()
if(MERGE_LM_CUDA STREQUAL AUTO AND LIBTORCH_KIND STREQUAL cpu)
  message(STATUS "CUDA kernels: not for a CPU build of libtorch")
  return()
endif()

# 1) nvcc: the toolkit's, or that of NVIDIA's Python packages, whose libraries lie in lib/ instead of lib64/
find_program(MERGE_LM_NVCC nvcc HINTS ENV CUDACXX ENV CUDA_HOME ENV CUDA_PATH PATH_SUFFIXES bin
             PATHS /usr/local/cuda/bin DOC "CUDA's compiler")
if(NOT MERGE_LM_NVCC)
  if(MERGE_LM_CUDA STREQUAL ON)
    message(FATAL_ERROR "MERGE_LM_CUDA=ON: expected nvcc (MERGE_LM_NVCC, CUDA_HOME, PATH), found none")
  endif()
  message(STATUS "CUDA kernels: skipped, no nvcc")
  return()
endif()
get_filename_component(_nvcc "${MERGE_LM_NVCC}" REALPATH)
get_filename_component(_toolkit "${_nvcc}" DIRECTORY)
get_filename_component(_toolkit "${_toolkit}" DIRECTORY)
set(_library_flags "")
foreach(_folder lib64 lib targets/x86_64-linux/lib)
  if(EXISTS "${_toolkit}/${_folder}/libcudart_static.a")
    list(APPEND _library_flags "-L${_toolkit}/${_folder}")
  endif()
endforeach()

# 2) one object for each family of kernels, then the library; the CUDA runtime is inside, so any driver of its major will do
set(_flags -std=c++20 -O3 --extended-lambda --expt-relaxed-constexpr -Xcompiler=-fPIC,-fvisibility=hidden
           "-I${CMAKE_SOURCE_DIR}/native" "-ccbin=${CMAKE_CXX_COMPILER}")
foreach(_architecture ${MERGE_LM_CUDA_ARCHITECTURES})
  list(APPEND _flags "-gencode=arch=compute_${_architecture},code=sm_${_architecture}")
endforeach()
list(GET MERGE_LM_CUDA_ARCHITECTURES -1 _architecture)
list(APPEND _flags "-gencode=arch=compute_${_architecture},code=compute_${_architecture}")
file(GLOB _sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/native/kernels/cuda/*.cu")
file(GLOB _headers CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/native/kernels/*.h" "${CMAKE_SOURCE_DIR}/native/kernels/*/*.h"
     "${CMAKE_SOURCE_DIR}/native/kernels/cuda/*.cuh" "${CMAKE_SOURCE_DIR}/native/random.h")
set(_objects "")
file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/cuda")
foreach(_source ${_sources})
  get_filename_component(_name "${_source}" NAME_WE)
  set(_object "${CMAKE_BINARY_DIR}/cuda/${_name}.o")
  add_custom_command(OUTPUT "${_object}" COMMAND "${_nvcc}" ${_flags} -c "${_source}" -o "${_object}"
                     DEPENDS "${_source}" ${_headers} COMMENT "nvcc ${_name}.cu" VERBATIM)
  list(APPEND _objects "${_object}")
endforeach()
set(MERGE_LM_CUDA_LIBRARY "${CMAKE_BINARY_DIR}/libmerge_cuda.so")
add_custom_command(OUTPUT "${MERGE_LM_CUDA_LIBRARY}"
                   COMMAND "${_nvcc}" --shared -cudart static "-ccbin=${CMAKE_CXX_COMPILER}" ${_library_flags}
                           ${_objects} -o "${MERGE_LM_CUDA_LIBRARY}"
                   DEPENDS ${_objects} COMMENT "Linking libmerge_cuda.so" VERBATIM)
add_custom_target(cuda_kernels ALL DEPENDS "${MERGE_LM_CUDA_LIBRARY}")
message(STATUS "CUDA kernels: ${_nvcc}, for ${MERGE_LM_CUDA_ARCHITECTURES}")
