# GCC's _tile_loadconfig names 8 of the 64 bytes that it reads, so that GCC 12 drops the stores to the others, and the
# first product on a CPU with AMX is an illegal instruction. The one file that uses it is compiled without dropping
# stores. Included after the target ggml-cpu, or given as CMAKE_PROJECT_INCLUDE to llama.cpp's own build.
if (TARGET ggml-cpu)
    get_target_property(GGML_CPU_FOLDER ggml-cpu SOURCE_DIR)
    if (CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        set_source_files_properties(${GGML_CPU_FOLDER}/ggml-cpu/amx/mmq.cpp TARGET_DIRECTORY ggml-cpu
            PROPERTIES COMPILE_OPTIONS "-fno-tree-dse;-fno-dse")
    endif()
elseif (CMAKE_CURRENT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)
    # Evaluated now: when it is called, the variable names another file.
    cmake_language(EVAL CODE "cmake_language(DEFER CALL include [[${CMAKE_CURRENT_LIST_FILE}]])")
endif()
