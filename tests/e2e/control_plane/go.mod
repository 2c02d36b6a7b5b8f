// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Marks the folder for Go, and is not read: each version of Kubernetes has its own in a folder of its name.
module okms-k8s-encryption-provider/tests/e2e/control_plane
