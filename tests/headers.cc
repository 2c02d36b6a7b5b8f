// SPDX-FileCopyrightText: The okms-k8s-encryption-provider authors
// SPDX-License-Identifier: Apache-2.0

// Of the headers that are precompiled for tests; there is nothing else to compile.
