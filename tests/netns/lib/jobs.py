# SPDX-License-Identifier: GPL-2.0-or-later
"""Cases side by side: workers are runners of their own, each with its own namespaces (named by its
pid); they are told over a pipe which cases to run next. Most cases wait for time to pass."""
import re
import subprocess
import sys
import threading

DONE = "# these are done"
GROUP_CASES = 6
MESSAGE_CHARS = 300
LAST_TRIES = 5


class Troubles:
    """What was not well, taken from what runners say, and said once more, in short, at the end:
    there one looks first, and often there is nothing else to see."""

    def __init__(self):
        self.found = []

    def take(self, lines):
        for line, after in zip(lines, lines[1:] + [""]):
            bad = re.match(r"(not ok \d+ -|#) (.*?)(?: is (repeated|put off))? "
                           r"\(\d+\.\d+ s\):?$", line)
            if bad and (bad.group(3) or line.startswith("not ok")):
                self.found.append(f"{bad.group(3) or 'failed'}: {bad.group(2)}: "
                                  f"{after.removeprefix('  # ')[:MESSAGE_CHARS]}")
            elif re.match(r"# (a worker ended|\d+ more were put off)", line):
                self.found.append(f"failed: {line[2:]}")
            elif re.search(r"; slow: .* after [\d.]+ s, not ", line):
                self.found.append(f"slow: {line}")

    def put_off(self):
        """The names, once each."""
        return list(dict.fromkeys(one.split(": ")[1] for one in self.found
                                  if one.startswith("put off")))

    def tell(self):
        for kind in ("slow", "repeated", "put off", "failed"):
            some = [one for one in self.found if one.startswith(kind)]
            if some:
                print(f"# {len(some)} {kind}:")
            for one in some:
                print(f"#   {one}")


def groups(cases):
    """Neighbours that share namespaces stay together, a few at a time."""
    out = []
    for one in cases:
        last = out[-1] if out else None
        if last and not one.fresh and not last[0].fresh and last[0].place() == one.place() and \
                len(last) < GROUP_CASES:
            last.append(one)
        else:
            out.append([one])
    return out


def obey(run_one, by_name):
    """A worker's life: names of cases, separated by tabs, a group a line."""
    for line in sys.stdin:
        for name in line.rstrip("\n").split("\t"):
            run_one(by_name[name])
        print(DONE, flush=True)


class Crew:
    def __init__(self, argv, n, cases):
        self.argv, self.cases = argv, cases
        self.todo = groups(cases)[::-1]
        self.lock = threading.Lock()
        self.number = 0
        self.sums = [0, 0, 0]
        self.broken = 0
        self.troubles = Troubles()
        self.workers = [self.worker() for _ in range(n)]

    def worker(self, *more):
        return subprocess.Popen([*self.argv, *more], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, text=True)

    def next_group(self):
        with self.lock:
            return self.todo.pop() if self.todo else None

    def tell(self, lines):
        with self.lock:
            for line in lines:
                if re.match(r"(not )?ok \d+ - ", line):
                    self.number += 1
                    line = re.sub(r"ok \d+ - ", f"ok {self.number} - ", line, count=1)
                print(line)
            self.troubles.take(lines)
            sys.stdout.flush()

    def lead(self, worker):
        while True:
            group = self.next_group()
            if not group:
                break
            try:
                worker.stdin.write("\t".join(c.name for c in group) + "\n")
                worker.stdin.flush()
            except BrokenPipeError:
                break
            said = []
            for line in worker.stdout:
                if line.rstrip("\n") == DONE:
                    break
                said.append(line.rstrip("\n"))
            else:
                self.tell(said + [f"# a worker ended amid {group[0].name}"])
                self.broken += 1
                return
            self.tell(said)
        worker.stdin.close()
        last = worker.stdout.read()
        found = re.search(r"(\d+) passed, (\d+) failed, (\d+) skipped", last)
        if not found:
            self.broken += 1
            return
        with self.lock:
            self.sums = [a + int(b) for a, b in zip(self.sums, found.groups())]

    def alone(self):
        """What was put off, with nothing beside it."""
        names = self.troubles.put_off()
        if len(names) > LAST_TRIES:
            self.sums[1] += len(names) - LAST_TRIES
            self.tell([f"# {len(names) - LAST_TRIES} more were put off than are tried again"])
        self.todo += [[c] for c in self.cases if c.name in names[:LAST_TRIES]]
        if names:
            self.workers.append(self.worker("--last"))
            self.lead(self.workers[-1])
            self.workers[-1].wait()

    def work(self):
        """Exit code."""
        threads = [threading.Thread(target=self.lead, args=(w,)) for w in self.workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for worker in self.workers:
            worker.wait()
        self.alone()
        passed, failed, skipped = self.sums
        failed += self.broken + sum(len(g) for g in self.todo)
        self.troubles.tell()
        print(f"{passed} passed, {failed} failed, {skipped} skipped")
        return 1 if failed else 0

    def stop(self):
        for worker in self.workers:
            if worker.poll() is None:
                worker.terminate()
