# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# The README's example: a test holds the two equal.
{
  services.okms-k8s-encryption-provider = {
    enable = true;
    instances.main = {
      protocol = "kmip";
      servers = [ "eu-west-rbx.okms.ovh.net:5696" ];
      keyId = "70001308-5674-43fe-93dd-6270ecac0710";
      credentials = {
        clientCertificate = "/var/lib/secrets/okms/client.pem";
        clientKey = "/var/lib/secrets/okms/client.key";
      };
    };
    kubernetes.enable = true;
  };
}
