package ecssim

import "slices"

func (in *definitionInput) requiredAttributes() []string {
	privileged := func(c containerInput) bool { return c.Privileged }
	needs := map[string]bool{
		"ecs.capability.task-eni":                           in.NetworkMode == "awsvpc",
		"com.amazonaws.ecs.capability.task-iam-role":        in.TaskRoleARN != "",
		"com.amazonaws.ecs.capability.privileged-container": slices.ContainsFunc(in.ContainerDefinitions, privileged),
	}
	for _, c := range in.ContainerDefinitions {
		if c.LogConfiguration != nil && c.LogConfiguration.LogDriver != "" {
			needs["com.amazonaws.ecs.capability.logging-driver."+c.LogConfiguration.LogDriver] = true
		}
	}
	var names []string
	for name, needed := range needs {
		if needed {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// requiredResources returns the resources that a task with these containers reserves: the task-level values if present,
// else the sums of the containers.
func (d *definition) requiredResources(containers []containerInput) resources {
	need := resources{tcp: map[int]bool{}, udp: map[int]bool{}}
	for _, c := range containers {
		need.cpu += c.CPU
		need.gpuCount += c.gpuCount()
		need.allGPUs = need.allGPUs || c.wantsAllGPUs()
		if c.MemoryReservation > 0 {
			need.memory += c.MemoryReservation
		} else {
			need.memory += c.Memory
		}
		for _, p := range c.PortMappings {
			port := p.HostPort
			if d.input.NetworkMode == "host" {
				port = p.ContainerPort
			}
			switch {
			case port == 0 || d.input.NetworkMode == "awsvpc" || d.input.NetworkMode == "none":
			case p.Protocol == "udp":
				need.udp[port] = true
			default:
				need.tcp[port] = true
			}
		}
	}
	if cpu, _ := parseUnits(d.input.CPU); cpu > 0 {
		need.cpu = cpu
	}
	if memory, _ := parseUnits(d.input.Memory); memory > 0 {
		need.memory = memory
	}
	return need
}
