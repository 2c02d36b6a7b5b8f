# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# What only a package of Debian has, beside the files of `cmake --install`. cpack runs it before it
# packs them.

set(share "${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr/share")
set(documents "${share}/doc/${CPACK_PACKAGE_NAME}")
set(version "${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}")

file(COPY_FILE "${CMAKE_CURRENT_LIST_DIR}/copyright" "${documents}/copyright")
file(MAKE_DIRECTORY "${share}/lintian/overrides")
file(COPY_FILE "${CMAKE_CURRENT_LIST_DIR}/lintian-overrides"
  "${share}/lintian/overrides/${CPACK_PACKAGE_NAME}")
file(COPY_FILE "${CMAKE_CURRENT_LIST_DIR}/../../CHANGELOG.md" "${documents}/changelog")
# Where Debian's zsh looks for it.
file(RENAME "${share}/zsh/site-functions" "${share}/zsh/vendor-completions")
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)  # SOURCE_DATE_EPOCH, if it is set
file(WRITE "${documents}/changelog.Debian" "\
${CPACK_PACKAGE_NAME} (${version}) unstable; urgency=medium

  * Built from ${CPACK_PACKAGE_VERSION}; what has changed is in changelog.gz.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
file(GLOB pages "${share}/man/man8/*.8")
execute_process(COMMAND_ERROR_IS_FATAL ANY COMMAND gzip --best --no-name --force
  "${documents}/changelog" "${documents}/changelog.Debian" ${pages})
file(GLOB_RECURSE added "${documents}/*" "${share}/lintian/*" "${share}/man/*")
file(CHMOD ${added} PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
