/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_control.c - the control socket: requests and answers in text and JSON, bad requests, and
 * clients that are slow, many, or gone. The engine is a made-up one that knows N_CONNS
 * connections, so that every number can be compared.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/control.h"
#include "io/control.h"
#include "unit.h"

#define N_CONNS 3000

static char dir[] = "/tmp/test_control.XXXXXX";
static char path[64];
static struct control control;
static struct config cfg;
static uint64_t now_us = 5000000;
static char answer[4 << 20];
static unsigned n_known; /* connections that the made-up engine has */

bool engine_conn_info(const struct engine *e, conn_ref conn, uint64_t now,
		      struct engine_conn_info *info)
{
	(void)e;
	(void)now;
	/* Every second record is empty. */
	if (conn % 2 || conn / 2 >= n_known)
		return false;
	*info = (struct engine_conn_info){
		.guest = {.family = FLOW_IPV4,
			  .src_port = (uint16_t)(1000 + conn),
			  .dst_port = 80,
			  .src = {{10, 0, 0, 2}},
			  .dst = {{192, 0, 2, 1}}},
		.role = "initiator",
		.mode = "single",
		.state = "established",
		.reason = conn == 2 ? REASON_NONE : REASON_SYNACK_CONVERTED,
		.age_us = 1500000,
		.from_guest_bytes = conn,
		.to_guest_bytes = UINT64_C(1) << 40,
		.n_subflows = 1,
	};
	info->subflow[0] = (struct engine_subflow_info){.path = 1,
							.state = "open",
							.tuple = {.family = FLOW_IPV6,
								  .src_port = 7,
								  .dst_port = 8,
								  .src = {{0xfd, [15] = 1}},
								  .dst = {{0xfd, [15] = 2}}},
							.cwnd_bytes = 14000,
							.srtt_us = 20500,
							.to_net_bytes = 11,
							.from_net_bytes = 12,
							.retransmits = 13};
	return true;
}

void engine_path_info(const struct engine *e, unsigned index, struct engine_path_info *info)
{
	(void)e;
	*info = (struct engine_path_info){.usable = index == 1,
					  .subflows = 3 + index,
					  .to_net_bytes = 100 + index,
					  .from_net_bytes = 200,
					  .to_net_pkts = 300,
					  .from_net_pkts = 400};
}

uint64_t engine_counter(const struct engine *e, enum reason reason)
{
	(void)e;
	return 1000 + reason;
}

bool engine_pool_info(const struct engine *e, unsigned i, struct engine_pool_info *info)
{
	(void)e;
	*info = (struct engine_pool_info){i ? "spans" : "mappings", 10 + i, 100 + i};
	return i < 2;
}

uint32_t engine_connections(const struct engine *e)
{
	(void)e;
	return n_known;
}

static void dispatch(void)
{
	control_dispatch(&control, NULL, &cfg, now_us);
}

static int client(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	dispatch();
	return fd;
}

/* Reads to the end while the daemon's side works; the bytes without the closing empty line. */
static const char *read_all(int fd)
{
	size_t n = 0;

	for (unsigned round = 0; round < 100000; round++) {
		ssize_t got = recv(fd, answer + n, sizeof(answer) - 1 - n, 0);

		if (got == 0)
			break;
		if (got < 0 && errno != EAGAIN)
			break;
		n += got > 0 ? (size_t)got : 0;
		dispatch();
	}
	close(fd);
	answer[n] = '\0';
	if (n < 2 || memcmp(answer + n - 2, "\n\n", 2) != 0) {
		CU_FAIL("the answer has no empty line at its end");
		return answer;
	}
	answer[n - 1] = '\0';
	return answer;
}

static const char *ask(const char *request)
{
	int fd = client();

	/* A daemon that is too busy has closed already: what it said counts. */
	(void)!send(fd, request, strlen(request), MSG_NOSIGNAL);
	return read_all(fd);
}

static void open_fresh(void)
{
	char err[256];

	CU_ASSERT_EQUAL_FATAL(control_open(&control, path, err, sizeof(err)), 0);
	n_known = N_CONNS;
}

static void test_socket(void)
{
	char err[256] = "", want[256];
	struct control second = {0};
	struct stat st;
	int fd;

	open_fresh();
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL(control_open(&second, path, err, sizeof(err)), -1);
	snprintf(want, sizeof(want),
		 "%s: another mpgate answers there; stop it first, or set another `control`", path);
	CU_ASSERT_STRING_EQUAL(err, want);
	/* A stranger's file under our name is not removed by us. */
	CU_ASSERT_EQUAL(unlink(path), 0);
	fd = creat(path, 0600);
	CU_ASSERT_TRUE(fd >= 0);
	close(fd);
	control_close(&control);
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	CU_ASSERT_EQUAL(control_open(&control, path, err, sizeof(err)), -1);
	snprintf(want, sizeof(want),
		 "%s exists and is no socket; remove it or set another `control`", path);
	CU_ASSERT_STRING_EQUAL(err, want);
	unlink(path);
	CU_ASSERT_EQUAL(control_open(&control, "/nonexistent/s", err, sizeof(err)), -1);
	CU_ASSERT_STRING_EQUAL(err, "/nonexistent/s: cannot make the control socket: No such file "
				    "or directory; create its directory");
	control_close(&control); /* harmless when not open */
}

/* A process that died leaves its socket behind: the next one replaces it. */
static void test_stale(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	CU_ASSERT_EQUAL(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	open_fresh();
	CU_ASSERT_PTR_NOT_NULL(strstr(ask("paths\n"), "fibre"));
	control_close(&control);
	CU_ASSERT_EQUAL(access(path, F_OK), -1);
}

static void test_text(void)
{
	open_fresh();
	n_known = 2;
	CU_ASSERT_STRING_EQUAL(
		ask("connections\n"),
		"2 of 6001 connections\n"
		"10.0.0.2:1000 > 192.0.2.1:80 initiator single established, age 1.5 s, from guest "
		"0 B, to guest 1099511627776 B, synack_converted\n"
		"  lte: [fd00::1]:7 > [fd00::2]:8 open, cwnd 14000 B, srtt 20.500 ms, to net 11 B, "
		"from net 12 B, 13 retransmits\n"
		"10.0.0.2:1002 > 192.0.2.1:80 initiator single established, age 1.5 s, from guest "
		"2 B, to guest 1099511627776 B\n"
		"  lte: [fd00::1]:7 > [fd00::2]:8 open, cwnd 14000 B, srtt 20.500 ms, to net 11 B, "
		"from net 12 B, 13 retransmits\n");
	CU_ASSERT_STRING_EQUAL(ask("paths\n"),
			       "fibre on eth0: not usable, price 1, 3 subflows, to net 100 B in "
			       "300 packets, from net 200 B in 400 packets\n"
			       "lte on wwan0: usable, backup, price 2.5, 4 subflows, to net 101 B "
			       "in 300 packets, from net 200 B in 400 packets\n");
	ask("counters\n");
	CU_ASSERT_EQUAL(strncmp(answer, "        1000 none                     No reason", 47), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\n          77 lost_packets             Lost.\n"));
	control_close(&control);
}

static void test_json(void)
{
	json_error_t error;
	json_t *doc, *list, *conn, *sub;

	open_fresh();
	doc = json_loads(ask("connections json\n"), 0, &error);
	CU_ASSERT_PTR_NOT_NULL_FATAL(doc);
	list = json_object_get(doc, "connections");
	CU_ASSERT_EQUAL(json_array_size(list), N_CONNS);
	conn = json_array_get(list, N_CONNS - 1);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(conn, "from_guest_bytes")),
			2 * (N_CONNS - 1));
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(conn, "mode")), "single");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(conn, "reason")),
			       "synack_converted");
	CU_ASSERT_EQUAL(json_real_value(json_object_get(conn, "age")), 1.5);
	CU_ASSERT_STRING_EQUAL(
		json_string_value(json_object_get(json_object_get(conn, "guest"), "dst")),
		"192.0.2.1");
	sub = json_array_get(json_object_get(conn, "subflows"), 0);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(sub, "path")), "lte");
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(sub, "srtt_us")), 20500);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(sub, "cwnd")), 14000);
	CU_ASSERT_TRUE(json_is_false(json_object_get(sub, "backup")));
	json_decref(doc);
	doc = json_loads(ask("counters json\n"), 0, &error);
	list = json_object_get(doc, "counters");
	CU_ASSERT_EQUAL(json_array_size(list), REASON_COUNT + 1);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_array_get(list, 5), "count")),
			1005);
	json_decref(doc);
	doc = json_loads(ask("paths json\n"), 0, &error);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(doc, "paths")), 2);
	json_decref(doc);
	n_known = 0;
	doc = json_loads(ask("connections json"
			     "\n"),
			 0, &error);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(doc, "connections")), 0);
	CU_ASSERT_TRUE(json_is_array(json_object_get(doc, "connections")));
	json_decref(doc);
	control_close(&control);
}

static void test_metrics(void)
{
	static const char *const wanted[] = {
		"# TYPE mpgate_packets_total counter\n",
		"\nmpgate_packets_total{reason=\"none\"} 1000\n",
		"\nmpgate_packets_total{reason=\"syn_mp_capable\"} 1001\n",
		"\nmpgate_connections 3000\n",
		"\nmpgate_connections_max 6001\n",
		"\nmpgate_records{kind=\"mappings\"} 10\n",
		"\nmpgate_records_max{kind=\"spans\"} 101\n",
		"\nmpgate_path_usable{path=\"fibre\"} 0\n",
		"\nmpgate_path_subflows{path=\"lte\"} 4\n",
		"\nmpgate_path_to_net_bytes_total{path=\"lte\"} 101\n",
		"\nmpgate_path_from_net_packets_total{path=\"lte\"} 400\n",
		"\nmpgate_daemon_total{name=\"lost_packets\"} 77\n",
	};
	unsigned lines = 0;

	open_fresh();
	ask("metrics\n");
	for (unsigned i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		CHECK_ROW(i, strstr(answer, wanted[i]) != NULL);
	for (const char *at = answer; (at = strstr(at, "\nmpgate_packets_total{")); at++)
		lines++;
	CU_ASSERT_EQUAL(lines, REASON_COUNT);
	control_close(&control);
}

static void test_bad_requests(void)
{
	static const char *const bad[] = {"\n",
					  "connection\n",
					  "connections jsonx\n",
					  "connections json more\n",
					  "metrics json\n",
					  "paths \001\xff\n",
					  "CONNECTIONS\n"};
	char longest[CONTROL_LINE_MAX + 50];
	int fd;

	open_fresh();
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ask(bad[i]);
		CHECK_ROW(i, strncmp(answer, "error: \"", 8) == 0);
		CHECK_ROW(i, strchr(answer, '\n') == answer + strlen(answer) - 1);
		for (const char *c = answer; c[1]; c++)
			CHECK_ROW(i, *c >= ' ' && *c <= '~');
	}
	/* Good ones in odd clothes: padded, in pieces, ended by shutdown instead of a newline. */
	CU_ASSERT_PTR_NOT_NULL(strstr(ask("paths  \r\n"), "fibre"));
	CU_ASSERT_PTR_NOT_NULL(strstr(ask("paths \t json \n"), "\"fibre\""));
	fd = client();
	CU_ASSERT_EQUAL(send(fd, "pa", 2, 0), 2);
	dispatch();
	CU_ASSERT_EQUAL(send(fd, "ths", 3, 0), 3);
	dispatch();
	CU_ASSERT_EQUAL(shutdown(fd, SHUT_WR), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(read_all(fd), "fibre"));
	/* Longer than a line may be: refused, whatever follows. */
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	CU_ASSERT_EQUAL(strncmp(ask(longest), "error: \"xxxx", 12), 0);
	/* Gone without a word, gone in the middle of the answer. */
	close(client());
	dispatch();
	fd = client();
	CU_ASSERT_EQUAL(send(fd, "connections\n", 12, 0), 12);
	dispatch();
	dispatch();
	close(fd);
	for (unsigned i = 0; i < 10; i++)
		dispatch();
	CU_ASSERT_PTR_NOT_NULL(strstr(ask("paths\n"), "fibre"));
	control_close(&control);
}

/* Clients that do not read hold no one up, and lose their place when it is needed. */
static void test_slow(void)
{
	int fds[CONTROL_CLIENTS_MAX];

	open_fresh();
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		fds[i] = client();
		CU_ASSERT_EQUAL(send(fds[i], "connections json\n", 17, 0), 17);
		for (unsigned k = 0; k < 50; k++)
			dispatch();
	}
	CU_ASSERT_STRING_EQUAL(ask("paths\n"), "error: too many clients at once; try again\n");
	now_us += CONTROL_PATIENCE_US + 1;
	CU_ASSERT_PTR_NOT_NULL(strstr(ask("paths\n"), "fibre"));
	/* The others, if they read at last, get all of it. */
	CU_ASSERT_EQUAL(strncmp(read_all(fds[CONTROL_CLIENTS_MAX - 1]), "{\"connections\":[\n", 17),
			0);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\n]}\n"));
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX - 1; i++)
		close(fds[i]);
	control_close(&control);
}

/* The asking end, in a process of its own: its exit code and what it wrote. */
static int child_ask(const char *socket_path, const char *request, bool serve, bool vanish)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		char err[512], name[80];
		FILE *out;
		int rc;

		snprintf(name, sizeof(name), "%s/out", dir);
		out = fopen(name, "w");
		rc = out ? control_ask(socket_path, request, out, err, sizeof(err)) : 1;
		if (rc < 0)
			fputs(err, out);
		if (out)
			fclose(out);
		_exit(rc == 0 ? 0 : 3);
	}
	/* Connected, then asking, however busy the machine is; then its daemon goes away. */
	for (unsigned i = 0; vanish && i < 4; i++) {
		struct pollfd ready = {.fd = control_fd(&control), .events = POLLIN};

		CU_ASSERT(poll(&ready, 1, 60000) == 1);
		dispatch();
	}
	if (vanish)
		control_close(&control);
	for (unsigned i = 0; i < 600000 && waitpid(pid, &status, WNOHANG) == 0; i++) {
		if (serve && !vanish)
			dispatch();
		usleep(100);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *child_out(void)
{
	char name[80];
	size_t n;
	FILE *f;

	snprintf(name, sizeof(name), "%s/out", dir);
	f = fopen(name, "r");
	n = f ? fread(answer, 1, sizeof(answer) - 1, f) : 0;
	answer[n] = '\0';
	if (f)
		fclose(f);
	return answer;
}

static void test_asking(void)
{
	json_t *doc;
	char want[256];

	open_fresh();
	CU_ASSERT_EQUAL(child_ask(path, "connections json", true, false), 0);
	doc = json_loads(child_out(), 0, NULL);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(doc, "connections")), N_CONNS);
	json_decref(doc);
	CU_ASSERT_EQUAL(child_ask(path, "nonsense", true, false), 3);
	CU_ASSERT_PTR_NOT_NULL(strstr(child_out(), ": \"nonsense\" is no request; "));
	/* The daemon goes away before it has answered. */
	n_known = 0;
	cfg.max_connections = UINT32_MAX;
	CU_ASSERT_EQUAL(child_ask(path, "connections", true, true), 3);
	CU_ASSERT_PTR_NOT_NULL(strstr(child_out(), ": the answer was cut off; try again"));
	cfg.max_connections = 2 * N_CONNS + 1;
	CU_ASSERT_EQUAL(child_ask(path, "paths", false, false), 3);
	snprintf(want, sizeof(want),
		 "%s: No such file or directory; no mpgate runs there: start `mpgate run`, or name "
		 "its socket with --control",
		 path);
	CU_ASSERT_STRING_EQUAL(child_out(), want);
}

int main(void)
{
	static const struct control_extra extra[] = {{"lost_packets", "Lost.", 77}};
	static const struct unit_test tests[] = {
		{"socket", test_socket},     {"stale socket", test_stale},
		{"text", test_text},         {"json", test_json},
		{"metrics", test_metrics},   {"bad requests", test_bad_requests},
		{"slow clients", test_slow}, {"asking", test_asking},
	};
	char out[80];
	int rc;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/s", dir);
	snprintf(out, sizeof(out), "%s/out", dir);
	cfg.n_paths = 2;
	cfg.max_connections = 2 * N_CONNS + 1;
	cfg.path[0] = (struct config_path){.name = "fibre", .interface = "eth0", .price = 1};
	cfg.path[1] = (struct config_path){
		.name = "lte", .interface = "wwan0", .price = 2.5, .backup = true};
	control.extra = extra;
	control.n_extra = 1;
	rc = unit_main("control", tests, sizeof(tests) / sizeof(tests[0]));
	unlink(out);
	rmdir(dir);
	return rc;
}
