# SPDX-License-Identifier: Apache-2.0
#
# Transparent huge pages that are dropped, protected and unmapped.
huge-pages
