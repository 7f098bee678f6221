# SPDX-License-Identifier: Apache-2.0
"""The test driver of the device tier: it plays the vmm and the guest against a device process.

vhost_user  the front end's side of the protocol, well-formed and not
guest       guest RAM and the driver's side of a split virtqueue
process     one of a VM's in its jail: start, control channel, how it ended, what it used
blk, rng, console   what a guest's driver of that device does
"""
