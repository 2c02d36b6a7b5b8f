# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# A package for the Debian that builds it: `cpack --preset package`. scripts/package does it all.

set(OKMS_PACKAGE_MAINTAINER
  "The okms-k8s-encryption-provider authors <maintainers@okms-k8s-encryption-provider.invalid>"
  CACHE STRING "Maintainer of the package: who publishes it says who")
set(OKMS_PACKAGE_HOMEPAGE "" CACHE STRING "Where its source is, a URL; whoever publishes it says where")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "${OKMS_PACKAGE_MAINTAINER}")
set(CPACK_DEBIAN_PACKAGE_HOMEPAGE "${OKMS_PACKAGE_HOMEPAGE}")
set(CPACK_PACKAGE_DESCRIPTION_FILE "${CMAKE_CURRENT_LIST_DIR}/description")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# What dpkg-shlibdeps cannot see: REST loads libcurl by name; the scripts call two programs of systemd.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libcurl4 (>= 7.85), \
systemd | systemd-standalone-sysusers | systemd-sysusers, \
systemd | systemd-standalone-tmpfiles | systemd-tmpfiles")
# With an older one a reload would leave the old certificates (systemd/okms-k8s-encryption-provider.service.in).
if(OKMS_SYSTEMD_VERSION VERSION_GREATER_EQUAL 260)
  set(CPACK_DEBIAN_PACKAGE_BREAKS "systemd (<< 260)")
endif()
# The system's roots, which are trusted where no CA is given.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)

foreach(script IN ITEMS postinst prerm postrm)
  list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA "${CMAKE_CURRENT_LIST_DIR}/${script}")
endforeach()
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_PRE_BUILD_SCRIPTS "${CMAKE_CURRENT_LIST_DIR}/finish.cmake")
include(CPack)
