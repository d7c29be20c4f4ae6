package ecssim

import (
	"maps"
	"slices"
	"strconv"
)

// resources holds what an instance has or what a task reserves.
type resources struct {
	cpu, memory int // CPU units and MiB
	tcp, udp    map[int]bool
	hasGPUs     bool     // of an instance, even if all are reserved
	totalGPUs   int      // that an instance registered
	gpus        []string // of an instance: the ids of those that remain; of a running task: of its own
	gpuCount    int      // of a task
	allGPUs     bool     // of a task: all that its instance registered
}

// reservedPorts returns the ports that ECS reserves for ssh, Docker and the ECS agent.
func reservedPorts() map[int]bool {
	return map[int]bool{22: true, 2375: true, 2376: true, 51678: true, 51679: true}
}

// shortage returns why need exceeds the remaining resources r, or "" if it fits. It checks in ECS's order. r lists the
// ports in use.
func (r resources) shortage(need resources) string {
	if need.cpu > r.cpu {
		return "RESOURCE:CPU"
	}
	if need.memory > r.memory {
		return "RESOURCE:MEMORY"
	}
	for _, pair := range [][2]map[int]bool{{need.tcp, r.tcp}, {need.udp, r.udp}} {
		for port := range pair[0] {
			if pair[1][port] {
				return "RESOURCE:PORTS"
			}
		}
	}
	if need.gpuCount > len(r.gpus) || need.allGPUs && (len(r.gpus) == 0 || len(r.gpus) < r.totalGPUs) {
		return "RESOURCE:GPU"
	}
	return ""
}

// acquire reserves resources. It returns them with the ids of the reserved GPUs.
func (r *resources) acquire(need resources) resources {
	if need.allGPUs {
		need.gpuCount = len(r.gpus)
	}
	need.gpus, r.gpus = slices.Clone(r.gpus[:need.gpuCount]), r.gpus[need.gpuCount:]
	r.cpu -= need.cpu
	r.memory -= need.memory
	maps.Copy(r.tcp, need.tcp)
	maps.Copy(r.udp, need.udp)
	return need
}

func (r *resources) release(taken resources) {
	r.cpu += taken.cpu
	r.memory += taken.memory
	for port := range taken.tcp {
		delete(r.tcp, port)
	}
	for port := range taken.udp {
		delete(r.udp, port)
	}
	r.gpus = slices.Sorted(slices.Values(slices.Concat(r.gpus, taken.gpus)))
}

func (r resources) clone() resources {
	r.tcp, r.udp = maps.Clone(r.tcp), maps.Clone(r.udp)
	return r
}

// resource is ECS's shape. It has all number fields whatever the type, in responses and in events.
type resource struct {
	Name           string    `json:"name"`
	Type           string    `json:"type"`
	IntegerValue   int       `json:"integerValue"`
	DoubleValue    float64   `json:"doubleValue"`
	LongValue      int64     `json:"longValue"`
	StringSetValue *[]string `json:"stringSetValue,omitempty"` // nil unless the type is STRINGSET
}

func (r resources) shape() []resource {
	all := []resource{
		{Name: "CPU", Type: "INTEGER", IntegerValue: r.cpu},
		{Name: "MEMORY", Type: "INTEGER", IntegerValue: r.memory},
		{Name: "PORTS", Type: "STRINGSET", StringSetValue: portSet(r.tcp)},
		{Name: "PORTS_UDP", Type: "STRINGSET", StringSetValue: portSet(r.udp)},
	}
	if r.hasGPUs {
		all = append(all, resource{Name: "GPU", Type: "STRINGSET", StringSetValue: new(copyOf(r.gpus))})
	}
	return all
}

func portSet(ports map[int]bool) *[]string {
	set := make([]string, 0, len(ports))
	for _, port := range slices.Sorted(maps.Keys(ports)) {
		set = append(set, strconv.Itoa(port))
	}
	return &set
}
