# SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
# SPDX-License-Identifier: Apache-2.0
#
# etcd and kube-apiserver, no more: what it takes to write a Secret and look at it.
{ pkgs, ... }:

let
  pki = pkgs.runCommand "kube-apiserver-pki" { nativeBuildInputs = [ pkgs.openssl ]; } ''
    mkdir "$out"
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=kube-apiserver \
      -addext subjectAltName=IP:127.0.0.1 -keyout "$out/tls.key" -out "$out/tls.crt"
  '';
  etcd = "http://127.0.0.1:2379";
  etcdPeer = "http://127.0.0.1:2380";
in
{
  virtualisation = {
    cores = 2;
    memorySize = 2048;
    diskSize = 4096;
  };

  services.okms-k8s-encryption-provider.kubernetes = {
    enable = true;
    providers = [
      {
        instance = "main";
        name = "okms";
      }
    ];
  };

  services.kubernetes = {
    masterAddress = "localhost";
    addons.dns.enable = false;
    apiserver = {
      enable = true;
      bindAddress = "127.0.0.1";
      advertiseAddress = "127.0.0.1";
      etcd.servers = [ etcd ];
      authorizationMode = [ "RBAC" ];
      disableAdmissionPlugins = [ "ServiceAccount" ];
      enableAdmissionPlugins = [ ];
      extraOpts = "--endpoint-reconciler-type=none";
      serviceAccountIssuer = "https://localhost";
      serviceAccountKeyFile = "${pki}/tls.key";
      serviceAccountSigningKeyFile = "${pki}/tls.key";
      tlsCertFile = "${pki}/tls.crt";
      tlsKeyFile = "${pki}/tls.key";
      tokenAuthFile = "${pkgs.writeText "tokens.csv" "admin,admin,admin,system:masters\n"}";
    };
  };

  systemd.services.kube-apiserver.after = [ "etcd.service" ];

  # The apiserver's module would have TLS.
  services.etcd = {
    enable = true;
    name = "machine";
    clientCertAuth = false;
    peerClientCertAuth = false;
    listenClientUrls = [ etcd ];
    advertiseClientUrls = [ etcd ];
    listenPeerUrls = [ etcdPeer ];
    initialAdvertisePeerUrls = [ etcdPeer ];
    initialCluster = [ "machine=${etcdPeer}" ];
  };
}
