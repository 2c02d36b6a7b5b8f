# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# A container image with the plugin, the system's roots and nothing else: no shell, and no root.
{
  lib,
  cacert,
  dockerTools,
  okms-k8s-encryption-provider,
}:

dockerTools.buildLayeredImage {
  name = okms-k8s-encryption-provider.pname;
  tag = okms-k8s-encryption-provider.version;
  config = {
    Entrypoint = [ (lib.getExe okms-k8s-encryption-provider) ];
    # Numbers, so that Kubernetes can tell that it is not root.
    User = "65532:65532";
    Env = [ "SSL_CERT_FILE=${cacert}/etc/ssl/certs/ca-bundle.crt" ];
    Labels = {
      "org.opencontainers.image.title" = okms-k8s-encryption-provider.pname;
      "org.opencontainers.image.version" = okms-k8s-encryption-provider.version;
      "org.opencontainers.image.licenses" = okms-k8s-encryption-provider.meta.license.spdxId;
    };
  };
}
