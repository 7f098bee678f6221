/* SPDX-License-Identifier: Apache-2.0
 *
 * vsock-serve PORT PROGRAM [WORD]...: starts the program for each connection of the host, as its standard input and output.
 */
#include <linux/vm_sockets.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY };
	int listener = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (argc < 3)
		return 2;
	signal(SIGCHLD, SIG_IGN);
	a.svm_port = (unsigned int)strtoul(argv[1], NULL, 10);
	if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(listener, 8) < 0) {
		perror("vsock-serve");
		return 1;
	}
	for (;;) {
		int sock = accept(listener, NULL, NULL);

		if (sock < 0)
			return 1;
		if (fork() == 0) {
			dup2(sock, 0);
			dup2(sock, 1);
			close(sock);
			execvp(argv[2], argv + 2);
			_exit(127);
		}
		close(sock);
	}
}
