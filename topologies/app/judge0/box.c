// box: runs one command of an untrusted program inside namespaces and limits, and says what it cost.
//
//   box setup ROOT
//       build the read-only tree that every run sees: /usr, a minimal /etc and /dev, empty /box, /tmp, /proc
//   box run OPTIONS -- COMMAND ARGS...
//       --root ROOT --dir DIR (becomes /box) --uid N --stdin F --stdout F --stderr F (or "-": to stdout)
//       --cpu S --wall S --memory KB --memory-total KB --stack KB --processes N --file KB --tmp KB
//       --memory-cgroup DIR --cpu-cgroup DIR (v1) or --cgroup2 DIR: a fresh group is made inside, --name N
//       --address-space: the memory limit holds for each process, and --memory-total for all of them together
//       --cpu-each: the time limit holds for each process
//       --network: keep the container's network
//   Writes "key:value" lines to file descriptor 3, a pipe, with one write(2): time, time-wall, max-rss, cg-mem,
//   exitcode | exitsig, status (RE, SG, TO, XX) and message. Exits 0 unless the sandbox itself failed (XX).
//   Only the process that was called has that pipe, and nothing from within the box reaches that process.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Where a file descriptor is that must outlive the closing of all others.
enum { META = 3, STACK_BYTES = 64 * 1024, KEPT = 100, FILES = 65536 };

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

static struct {
    const char *root, *dir, *in, *out, *err, *memory_cgroup, *cpu_cgroup, *cgroup2, *name;
    double cpu, wall;
    long memory, total, stack, processes, file, tmp, uid;
    int address_space, cpu_each, network;
    char **command;
} o = {.in = "/dev/null", .out = "/dev/null", .err = "/dev/null", .cpu = 5, .wall = 10, .memory = 128000,
       .stack = 64000, .processes = 60, .file = 1024, .tmp = 65536, .uid = 100000, .name = "box"};

static int error_pipe = -1;  // in the sandbox: where a failure to set it up is reported

static void die(const char *format, ...) {
    char text[512];
    int saved = errno;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text - 80, format, args);
    va_end(args);
    n += snprintf(text + n, 79, ": %s", strerror(saved));
    if (error_pipe >= 0) {
        if (write(error_pipe, text, n) < 0) _exit(2);
        _exit(1);
    }
    if (dprintf(META, "status:XX\nmessage:%s\n", text) < 0) dprintf(2, "box: %s\n", text);
    _exit(1);
}

static void close_all(unsigned first, unsigned last, int at_exec) {
    if (!syscall(SYS_close_range, first, last, at_exec ? CLOSE_RANGE_CLOEXEC : 0)) return;
    for (unsigned fd = first; fd <= last && fd < FILES; fd++)  // a kernel before 5.11
        if (at_exec) fcntl(fd, F_SETFD, FD_CLOEXEC);
        else close(fd);
}

static char *path(const char *format, ...) {
    char *text;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0) abort();
    va_end(args);
    return text;
}

static int put(const char *file, const char *format, ...) {
    char text[128];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int ok = write(fd, text, n) == n;
    close(fd);
    return ok ? 0 : -1;
}

static int get(const char *file, char *text, size_t size) {
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    if (n < 0) return -1;
    text[n] = 0;
    return 0;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

// ---- setup ----------------------------------------------------------------------------------------------

static void show(const char *from, const char *to, unsigned long flags) {
    if (mount(from, to, NULL, MS_BIND | MS_REC, NULL)) die("bind %s on %s", from, to);
    if (mount(NULL, to, NULL, MS_REMOUNT | MS_BIND | MS_NOSUID | flags, NULL)) die("remount %s", to);
}

static void write_file(const char *file, const char *text) {
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) < 0) die("write %s", file);
    close(fd);
}

static void copy_file(const char *from, const char *to) {
    char buffer[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC), out;
    if (in < 0) return;
    if ((out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) < 0) die("write %s", to);
    for (ssize_t n; (n = read(in, buffer, sizeof buffer)) > 0;)
        if (write(out, buffer, n) != n) die("write %s", to);
    close(in);
    close(out);
}

static int setup(const char *root) {
    static const char *dirs[] = {"usr", "etc", "dev", "proc", "tmp", "box"};
    static const char *links[] = {"bin", "lib", "lib64", "sbin"};
    static const char *nodes[] = {"null", "zero", "full", "random", "urandom"};
    if (mount("tmpfs", root, "tmpfs", MS_NOSUID, "mode=755,size=1m")) die("mount %s", root);
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
        if (mkdir(path("%s/%s", root, dirs[i]), 0755)) die("mkdir %s/%s", root, dirs[i]);
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        if (symlink(path("usr/%s", links[i]), path("%s/%s", root, links[i]))) die("symlink %s", links[i]);
    show("/usr", path("%s/usr", root), MS_RDONLY | MS_NODEV);
    write_file(path("%s/etc/passwd", root), "root:x:0:0:root:/:/bin/sh\nbox:x:60000:60000::/tmp:/bin/bash\n");
    write_file(path("%s/etc/group", root), "root:x:0:\nbox:x:60000:\n");
    copy_file("/etc/ld.so.cache", path("%s/etc/ld.so.cache", root));
    if (!access("/etc/alternatives", F_OK)) {
        char *target = path("%s/etc/alternatives", root);
        if (mkdir(target, 0755)) die("mkdir %s", target);
        show("/etc/alternatives", target, MS_RDONLY | MS_NODEV);
    }
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        char *target = path("%s/dev/%s", root, nodes[i]);
        write_file(target, "");
        show(path("/dev/%s", nodes[i]), target, MS_NOEXEC);
    }
    if (symlink("/proc/self/fd", path("%s/dev/fd", root)) || symlink("fd/0", path("%s/dev/stdin", root)) ||
        symlink("fd/1", path("%s/dev/stdout", root)) || symlink("fd/2", path("%s/dev/stderr", root)))
        die("symlink in %s/dev", root);
    if (mount(NULL, root, NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID, "mode=755,size=1m")) die("remount %s", root);
    return 0;
}

// ---- inside ---------------------------------------------------------------------------------------------

static void limit(int what, rlim_t value, const char *name) {
    struct rlimit l = {value, value};
    if (!setrlimit(what, &l)) return;
    // Without CAP_SYS_RESOURCE a hard limit cannot be raised: what is there is then the stricter one.
    if (getrlimit(what, &l) || (l.rlim_max != RLIM_INFINITY && l.rlim_max > value)) die("limit %s", name);
    l.rlim_cur = l.rlim_max;
    if (setrlimit(what, &l)) die("limit %s", name);
}

static void set_limits(void) {
    limit(RLIMIT_CORE, 0, "core");
    limit(RLIMIT_NOFILE, 64, "nofile");
    limit(RLIMIT_STACK, o.stack ? (rlim_t)o.stack * 1024 : RLIM_INFINITY, "stack");
    limit(RLIMIT_FSIZE, (rlim_t)o.file * 1024, "fsize");
    limit(RLIMIT_MEMLOCK, 65536, "memlock");
    limit(RLIMIT_MSGQUEUE, 0, "msgqueue");
    limit(RLIMIT_NPROC, o.processes, "nproc");
    if (o.address_space) limit(RLIMIT_AS, (rlim_t)o.memory * 1024, "as");
    else if (!o.memory_cgroup && !o.cgroup2) limit(RLIMIT_DATA, (rlim_t)o.memory * 1024, "data");
    if (o.cpu_each || (!o.cpu_cgroup && !o.cgroup2)) limit(RLIMIT_CPU, (rlim_t)o.cpu + 1, "cpu");
}

// Each of these macros is a whole number of instructions, and falls through where it does not apply.
#define REFUSE(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define DENY(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), REFUSE(EPERM)
#define MISSING(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), REFUSE(ENOSYS)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
// The kernel takes flags, families, types and protocols from the lower half of an argument.
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the lower half of an argument is elsewhere"
#endif
#define ARGUMENT(number) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[number]))
#define IS(value, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, then, otherwise)

// What no program under test needs and what has let programs out of sandboxes before.
static void filter_syscalls(void) {
#if defined(__x86_64__)
    const unsigned arch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
    const unsigned arch = AUDIT_ARCH_AARCH64;
#else
#error "this architecture has no system call filter"
#endif
    const unsigned spaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                            CLONE_NEWCGROUP;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        IS(arch, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),  // as of int 0x80: other numbers, other arguments
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#if defined(__x86_64__)
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1), REFUSE(ENOSYS),  // the x32 numbers
        DENY(SYS_iopl), DENY(SYS_ioperm), DENY(SYS_modify_ldt), DENY(SYS_uselib),
#endif
        // Namespaces and mounts.
        DENY(SYS_unshare), DENY(SYS_setns), DENY(SYS_mount), DENY(SYS_umount2), DENY(SYS_pivot_root), DENY(SYS_chroot),
        DENY(SYS_fsopen), DENY(SYS_fsconfig), DENY(SYS_fsmount), DENY(SYS_fspick), DENY(SYS_open_tree),
        DENY(SYS_move_mount), DENY(SYS_mount_setattr), DENY(SYS_quotactl), DENY(SYS_name_to_handle_at),
        DENY(SYS_open_by_handle_at), DENY(SYS_fanotify_init),
        // Other processes.
        DENY(SYS_ptrace), DENY(SYS_process_vm_readv), DENY(SYS_process_vm_writev), DENY(SYS_process_madvise),
        DENY(SYS_pidfd_getfd), DENY(SYS_kcmp),
        // The machine.
        DENY(SYS_kexec_load), DENY(SYS_kexec_file_load), DENY(SYS_init_module), DENY(SYS_finit_module),
        DENY(SYS_delete_module), DENY(SYS_reboot), DENY(SYS_swapon), DENY(SYS_swapoff), DENY(SYS_acct),
        DENY(SYS_syslog), DENY(SYS_settimeofday), DENY(SYS_clock_settime), DENY(SYS_clock_adjtime),
        DENY(SYS_sethostname), DENY(SYS_setdomainname),
        // Much code in the kernel that is seldom used.
        DENY(SYS_bpf), DENY(SYS_perf_event_open), DENY(SYS_userfaultfd), DENY(SYS_keyctl), DENY(SYS_add_key),
        DENY(SYS_request_key), DENY(SYS_io_uring_setup), DENY(SYS_io_uring_enter), DENY(SYS_io_uring_register),
        DENY(SYS_lookup_dcookie), DENY(SYS_move_pages), DENY(SYS_migrate_pages),
        // Its flags are behind a pointer; a C library told that there is no clone3 takes clone.
        MISSING(SYS_clone3),
        IS(SYS_clone, 0, 4),
        ARGUMENT(0), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, spaces, 0, 1), REFUSE(EPERM), ALLOW,
        // Of the families of sockets those that programs use. AF_VSOCK knows no namespaces and leads to the host;
        // others (AF_ALG, AF_PACKET, AF_XDP, ...) are large, or have the kernel load a module.
        IS(SYS_socketpair, 0, 4),
        ARGUMENT(0), IS(AF_UNIX, 0, 1), ALLOW, REFUSE(EAFNOSUPPORT),
        IS(SYS_socket, 1, 0), ALLOW,
        ARGUMENT(0), IS(AF_UNIX, 0, 1), ALLOW,
        IS(AF_NETLINK, 0, 4),  // how the C library lists interfaces
        ARGUMENT(2), IS(NETLINK_ROUTE, 0, 1), ALLOW, REFUSE(EPROTONOSUPPORT),
        IS(AF_INET, 2, 0), IS(AF_INET6, 1, 0), REFUSE(EAFNOSUPPORT),
        ARGUMENT(1), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SOCK_RAW, 0, 1), REFUSE(EPROTONOSUPPORT),
        ARGUMENT(2), IS(IPPROTO_IP, 5, 0), IS(IPPROTO_TCP, 4, 0), IS(IPPROTO_UDP, 3, 0), IS(IPPROTO_ICMP, 2, 0),
        IS(IPPROTO_ICMPV6, 1, 0), REFUSE(EPROTONOSUPPORT),
        ALLOW,
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) die("no_new_privs");
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) die("seccomp");
}

// A stream of the program's: never what a link leads to. The file is its own, so it may open /dev/stdin and such.
static int stream(const char *file, int flags) {
    struct stat info;
    int fd = open(file, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(fd, &info)) die("open %s", file);
    if (S_ISREG(info.st_mode) && fchown(fd, o.uid, o.uid)) die("give %s away", file);
    return fd;
}

static void set_files(void) {
    int in = stream(o.in, O_RDONLY), out = stream(o.out, O_WRONLY | O_CREAT | O_TRUNC);
    int err = strcmp(o.err, "-") ? stream(o.err, O_WRONLY | O_CREAT | O_TRUNC) : out;
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) die("dup2");
}

static void set_tree(void) {
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) die("make / private");
    if (mount("proc", path("%s/proc", o.root), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=2"))
        die("mount proc");
    char *options = path("mode=1777,nr_inodes=8192,size=%ldk", o.tmp);
    if (mount("tmpfs", path("%s/tmp", o.root), "tmpfs", MS_NOSUID | MS_NODEV, options)) die("mount /tmp");
    if (mount(o.dir, path("%s/box", o.root), NULL, MS_BIND, NULL)) die("bind %s", o.dir);
    if (chdir(o.root)) die("enter %s", o.root);
    // Docker's seccomp profile knows no pivot_root. Moved over the old root and entered, the tree covers it;
    // without capabilities and mount(2) the program cannot lift it.
    if (!syscall(SYS_pivot_root, ".", ".")) {
        if (umount2(".", MNT_DETACH)) die("leave the old root");
    } else if (mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".")) {
        die("move %s to /", o.root);
    }
    if (chdir("/box")) die("enter /box");
}

static void drop_privileges(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
    for (int capability = 0; capability < 64; capability++)
        prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);  // refused without CAP_SETPCAP; nothing is gained then either
    if (setgroups(0, NULL) || setresgid(o.uid, o.uid, o.uid) || setresuid(o.uid, o.uid, o.uid)) die("setuid");
    if (syscall(SYS_capset, &header, none)) die("capset");  // an engine may have made some inheritable
}

static void exec_command(void) {
    static char *environment[] = {"HOME=/tmp", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                  "LANG=C.UTF-8", "LC_ALL=C.UTF-8", NULL};
    set_limits();
    drop_privileges();
    filter_syscalls();
    // Python, which starts the box, ignores some; that would be inherited.
    sigset_t none;
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    close_all(3, ~0U, 1);
    execve(o.command[0], o.command, environment);
    die("execve(\"%s\")", o.command[0]);
}

struct inside {
    int go, result, error;
};

static int kept(int fd) {
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, KEPT);
    if (copy < 0) die("dup");
    return copy;
}

// Of what was open outside only two pipes' ends that nothing can be read from: no report, no other end.
static void forget_outside(struct inside *pipes) {
    pipes->result = kept(pipes->result);
    error_pipe = pipes->error = kept(pipes->error);
    close_all(3, KEPT - 1, 0);
    close_all(pipes->error + 1, ~0U, 0);
}

// PID 1 of the box: root, as the program is not. Reaps whatever the program leaves behind, and ends (and all with
// it) when the program does.
static int inside(void *argument) {
    struct inside *pipes = argument;
    char c;
    int status;
    error_pipe = pipes->error;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (read(pipes->go, &c, 1) != 1) _exit(1);
    forget_outside(pipes);
    set_files();
    set_tree();
    unshare(CLONE_NEWCGROUP);  // where the kernel knows it: /proc/self/cgroup then says nothing of the worker's
    if (sethostname("box", 3)) die("sethostname");
    pid_t child = fork();
    if (child < 0) die("fork");
    if (!child) exec_command();
    close(pipes->error);
    for (;;) {
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0 && errno != EINTR) _exit(1);
        if (pid == child) break;
    }
    if (write(pipes->result, &status, sizeof status) != sizeof status) _exit(1);
    _exit(0);
}

// ---- outside --------------------------------------------------------------------------------------------

static char *memory_group, *cpu_group;

static char *make_group(const char *base) {
    char *group = path("%s/%s", base, o.name);
    if (mkdir(group, 0755) && errno != EEXIST) die("make control group %s", group);
    return group;
}

static void join(const char *group, pid_t pid) {
    if (put(path("%s/cgroup.procs", group), "%d", (int)pid)) die("enter control group %s", group);
}

// Where the limit is each process's own, many of them must still not take the machine's memory away.
static long memory_of_all(void) { return o.address_space && o.total > o.memory ? o.total : o.memory; }

static void make_groups(pid_t pid) {
    if (o.cgroup2) {
        memory_group = cpu_group = make_group(o.cgroup2);
        if (put(path("%s/memory.max", memory_group), "%ld", memory_of_all() * 1024)) die("memory.max");
        put(path("%s/memory.swap.max", memory_group), "0");  // absent where swap accounting is off
        put(path("%s/memory.oom.group", memory_group), "0");
        join(memory_group, pid);
        return;
    }
    if (o.memory_cgroup) {
        memory_group = make_group(o.memory_cgroup);
        if (put(path("%s/memory.limit_in_bytes", memory_group), "%ld", memory_of_all() * 1024)) die("memory limit");
        put(path("%s/memory.memsw.limit_in_bytes", memory_group), "%ld", memory_of_all() * 1024);
        join(memory_group, pid);
    }
    if (o.cpu_cgroup) join(cpu_group = make_group(o.cpu_cgroup), pid);
}

static void remove_group(const char *group) {
    // The kernel may still be taking the last process apart, on a busy machine for long; the worker tries again.
    for (int i = 1; group && i < 20 && rmdir(group) && errno == EBUSY; i++) {
        struct timespec t = {0, i * 1000000};
        nanosleep(&t, NULL);
    }
}

static double group_cpu(void) {
    char text[256];
    if (!cpu_group) return -1;
    if (o.cgroup2) {
        if (get(path("%s/cpu.stat", cpu_group), text, sizeof text)) return -1;
        char *usage = strstr(text, "usage_usec ");
        return usage ? atof(usage + 11) / 1e6 : -1;
    }
    if (get(path("%s/cpuacct.usage", cpu_group), text, sizeof text)) return -1;
    return atof(text) / 1e9;
}

static long group_memory(void) {
    char text[64];
    if (!memory_group) return -1;
    const char *file = o.cgroup2 ? "memory.peak" : "memory.max_usage_in_bytes";
    return get(path("%s/%s", memory_group, file), text, sizeof text) ? -1 : atol(text) / 1024;
}

// Waits for the box's end; kills it when its time is over. Returns why it was killed, or NULL.
static const char *watch(pid_t pid, double start, int *status, struct rusage *usage) {
    const char *killed = NULL;
    int fd = syscall(SYS_pidfd_open, pid, 0), cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (fd < 0) die("pidfd_open");
    struct pollfd p = {fd, POLLIN, 0};
    for (;;) {
        double spent = group_cpu(), wall = now() - start, next = o.wall - wall;
        if (spent >= 0 && (o.cpu - spent) / cores < next) next = (o.cpu - spent) / cores;
        int ready = poll(&p, 1, next < 0.01 ? 10 : (int)(next * 1000) + 1);
        if (ready > 0) break;
        spent = group_cpu();
        if (now() - start > o.wall) killed = "Time limit exceeded (wall clock)";
        else if (spent >= 0 && spent > o.cpu && !o.cpu_each) killed = "Time limit exceeded";
        if (killed) {
            kill(pid, SIGKILL);
            break;
        }
    }
    while (wait4(pid, status, 0, usage) < 0)
        if (errno != EINTR) die("wait4");
    return killed;
}

static double seconds(struct timeval t) { return t.tv_sec + t.tv_usec / 1e6; }

static void report(const char *killed, int have_status, int status, double wall, double base, struct rusage *u) {
    char end[128], text[512], mem[32] = "";
    double grouped = group_cpu(), used = seconds(u->ru_utime) + seconds(u->ru_stime);
    double spent = (grouped >= 0 ? grouped : used) - base;
    long memory = group_memory();
    int number = !have_status ? SIGKILL : WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (spent < 0) spent = 0;
    if (memory >= 0) snprintf(mem, sizeof mem, "cg-mem:%ld\n", memory);
    if (!killed && (spent > o.cpu || (have_status && number == SIGXCPU))) killed = "Time limit exceeded";
    if (killed)
        snprintf(end, sizeof end, "status:TO\nmessage:%s\n", killed);
    else if (number)
        snprintf(end, sizeof end, "exitsig:%d\nstatus:SG\nmessage:Caught fatal signal %d\n", number, number);
    else if (WEXITSTATUS(status))
        snprintf(end, sizeof end, "exitcode:%d\nstatus:RE\nmessage:Exited with error status %d\n", WEXITSTATUS(status),
                 WEXITSTATUS(status));
    else
        snprintf(end, sizeof end, "exitcode:0\n");
    int n = snprintf(text, sizeof text, "time:%.3f\ntime-wall:%.3f\nmax-rss:%ld\n%s%s", spent, wall, u->ru_maxrss, mem, end);
    if (write(META, text, n) != n) _exit(1);
}

static int run(void) {
    static char stack[STACK_BYTES] __attribute__((aligned(16)));
    int go[2], result[2], error[2], status = 0, program = 0;
    struct rusage usage;
    char text[512];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close_all(3, ~0U, 1);
    if (pipe2(go, O_CLOEXEC) || pipe2(result, O_CLOEXEC) || pipe2(error, O_CLOEXEC)) die("pipe");
    struct inside pipes = {go[0], result[1], error[1]};
    int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | (o.network ? 0 : CLONE_NEWNET);
    pid_t pid = clone(inside, stack + STACK_BYTES, flags | SIGCHLD, &pipes);
    if (pid < 0) die("clone");
    close(result[1]);
    close(error[1]);
    make_groups(pid);
    double base = 0, start = now();
    if (write(go[1], "x", 1) != 1) die("start");
    const char *killed = watch(pid, start, &status, &usage);
    double wall = now() - start;
    ssize_t failed = read(error[0], text, sizeof text - 1);
    int have_status = read(result[0], &program, sizeof program) == sizeof program;
    if (failed > 0) dprintf(META, "status:XX\nmessage:%.*s\n", (int)failed, text);
    else report(killed, have_status, program, wall, base, &usage);
    remove_group(memory_group);
    if (cpu_group != memory_group) remove_group(cpu_group);
    return failed > 0;
}

static void parse(int argc, char **argv) {
    enum { ROOT = 1, DIR_, UID, IN, OUT, ERR, CPU, WALL, MEM, STK, PROCS, FSIZE, TMP, TOTAL, MCG, CCG, CG2, NAME, AS, EACH, NET };
    static const struct option options[] = {
        {"root", 1, 0, ROOT}, {"dir", 1, 0, DIR_}, {"uid", 1, 0, UID}, {"stdin", 1, 0, IN}, {"stdout", 1, 0, OUT},
        {"stderr", 1, 0, ERR}, {"cpu", 1, 0, CPU}, {"wall", 1, 0, WALL}, {"memory", 1, 0, MEM}, {"stack", 1, 0, STK},
        {"processes", 1, 0, PROCS}, {"file", 1, 0, FSIZE}, {"tmp", 1, 0, TMP}, {"memory-total", 1, 0, TOTAL},
        {"memory-cgroup", 1, 0, MCG},
        {"cpu-cgroup", 1, 0, CCG}, {"cgroup2", 1, 0, CG2}, {"name", 1, 0, NAME}, {"address-space", 0, 0, AS},
        {"cpu-each", 0, 0, EACH}, {"network", 0, 0, NET}, {0, 0, 0, 0}};
    for (int c; (c = getopt_long(argc, argv, "+", options, NULL)) != -1;) switch (c) {
        case ROOT: o.root = optarg; break;
        case DIR_: o.dir = optarg; break;
        case UID: o.uid = atol(optarg); break;
        case IN: o.in = optarg; break;
        case OUT: o.out = optarg; break;
        case ERR: o.err = optarg; break;
        case CPU: o.cpu = atof(optarg); break;
        case WALL: o.wall = atof(optarg); break;
        case MEM: o.memory = atol(optarg); break;
        case STK: o.stack = atol(optarg); break;
        case PROCS: o.processes = atol(optarg); break;
        case FSIZE: o.file = atol(optarg); break;
        case TMP: o.tmp = atol(optarg); break;
        case TOTAL: o.total = atol(optarg); break;
        case MCG: o.memory_cgroup = optarg; break;
        case CCG: o.cpu_cgroup = optarg; break;
        case CG2: o.cgroup2 = optarg; break;
        case NAME: o.name = optarg; break;
        case AS: o.address_space = 1; break;
        case EACH: o.cpu_each = 1; break;
        case NET: o.network = 1; break;
        default: errno = EINVAL; die("box run: unknown option");
    }
    o.command = argv + optind;
    errno = EINVAL;
    if (!o.root || !o.dir || !*o.command) die("box run needs --root, --dir and a command");
    if (o.uid < 1000) die("box run needs an unprivileged --uid");
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "setup")) return setup(argv[2]);
    if (argc > 2 && !strcmp(argv[1], "run")) {
        parse(argc - 1, argv + 1);
        return run();
    }
    dprintf(2, "usage: box setup ROOT | box run OPTIONS -- COMMAND ARGS...\n");
    return 2;
}
