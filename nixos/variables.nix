# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# The variables of the program.
{
  # Those that have an option of their own.
  own = {
    OKMS_PROTOCOL = "protocol";
    OKMS_SERV_ADDR = "servers";
    OKMS_KEY_ID = "keyId";
    OKMS_KEY_LABEL = "keyLabel";
    OKMS_KEY_ID_FILE = "keyIdFile";
    OKMS_ID = "okmsId";
    OKMS_CLIENT_CERT = "credentials.clientCertificate";
    OKMS_CLIENT_KEY = "credentials.clientKey";
    OKMS_CA_CERT = "credentials.ca";
    OKMS_TIMEOUT = "timeout";
    OKMS_SOCK = "socket";
    OKMS_SOCK_GROUP = "group";
    OKMS_ALLOW_GID = "group";
    OKMS_STATUS_LISTEN = "statusPages.listen";
    OKMS_STATUS_LISTEN_ANYWHERE = "statusPages.listen";
  };
  # The rest, but for OKMS_USER: it is for who starts it as root, which a unit never does.
  further = [
    "OKMS_ALLOW_UID"
    "OKMS_CA_ONLY"
    "OKMS_DEBUG"
    "OKMS_LABEL_GRACE"
    "OKMS_LOG_FORMAT"
    "OKMS_MAX_CONNECTIONS"
    "HTTPS_PROXY"
    "NO_PROXY"
  ];
}
