# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
# For CMAKE_PROJECT_INCLUDE: packages from wheels name folders of the machine that made the wheels,
# of Python and NumPy, which CMake refuses. Those of this machine are found by themselves.
function(forget_missing_folders)
    get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
    foreach(target IN LISTS targets)
        get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
        set(found)
        foreach(folder IN LISTS folders)
            if(EXISTS "${folder}")
                list(APPEND found "${folder}")
            endif()
        endforeach()
        set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${found}")
    endforeach()
endfunction()
cmake_language(DEFER CALL forget_missing_folders)
