package bench

import (
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/blox/blox/internal/harness"
)

const clockTicks = 100 // a second, of /proc on Linux

// usage is what a service uses: bytes of resident memory, goroutines and file descriptors.
type usage struct{ memory, goroutines, descriptors float64 }

// usage reads the service's own metrics.
func (s *service) usage(ctx context.Context) (usage, error) {
	values, err := s.metrics(ctx)
	return usage{
		memory:      values["process_resident_memory_bytes"],
		goroutines:  values["go_goroutines"],
		descriptors: values["process_open_fds"],
	}, err
}

// highest returns the larger of both in each respect.
func (u usage) highest(other usage) usage {
	return usage{
		memory:      max(u.memory, other.memory),
		goroutines:  max(u.goroutines, other.goroutines),
		descriptors: max(u.descriptors, other.descriptors),
	}
}

// addUsage adds rows that compare a service's usage with an earlier one, the baseline. The targets are those of memory.
func (t *table) addUsage(section, name string, before, after usage, targets ...target) {
	t.add(section, name+": resident memory", "MiB", []sample{{after.memory / mib, before.memory / mib}}, targets...)
	t.add(section, name+": goroutines", "", []sample{{after.goroutines, before.goroutines}})
	t.add(section, name+": descriptors", "", []sample{{after.descriptors, before.descriptors}})
}

// memory returns a value of /proc/<pid>/status in MiB: VmRSS, the resident memory, or VmHWM, its peak. It returns NaN
// on systems other than Linux.
func (s *service) memory(name string) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID()))
	if err != nil {
		return math.NaN()
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == name+":" {
			if kib, err := strconv.ParseFloat(fields[1], 64); err == nil {
				return kib * 1024 / mib
			}
		}
	}
	return math.NaN()
}

// cpu returns the CPU time that the process has used, in seconds. It returns NaN on systems other than Linux.
func (s *service) cpu() float64 { return cpuTime(s.Process) }

// cpuTime returns the user and system time of processes, in seconds. It returns NaN on systems other than Linux.
func cpuTime(processes ...*harness.Process) float64 {
	sum := 0.0
	for _, p := range processes {
		sum += cpuTimeOf(strconv.Itoa(p.PID()))
	}
	return sum
}

// ownCPUTime is cpuTime of this process.
func ownCPUTime() float64 { return cpuTimeOf("self") }

func cpuTimeOf(pid string) float64 {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return math.NaN()
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest) // from the third field of proc(5) on; utime is the 14th, stime the 15th
	if len(fields) < 13 {
		return math.NaN()
	}
	user, errUser := strconv.ParseFloat(fields[11], 64)
	system, errSystem := strconv.ParseFloat(fields[12], 64)
	if errUser != nil || errSystem != nil {
		return math.NaN()
	}
	return (user + system) / clockTicks
}
