package state

import (
	"fmt"
	"slices"

	"github.com/go-openapi/swag/conv"
)

// Equivalent reports whether two records of a task are equal except for order, the precision of times, the forms that
// ECS uses for the same value in events and in Describe, and fields that only one of the two contains.
func (t Task) Equivalent(other Task) bool { return equalJSON(t.canonical(), other.canonical()) }

func (t Task) canonical() Task {
	for _, at := range []*string{
		&t.CreatedAt, &t.PullStartedAt, &t.PullStoppedAt, &t.StartedAt, &t.StoppingAt, &t.ExecutionStoppedAt, &t.StoppedAt,
	} {
		*at = normalizeTime(*at)
	}
	t.UpdatedAt = ""      // only events contain it
	t.PlatformFamily = "" // only Describe contains it
	t.CPU, t.Memory = Amount(t.CPU), Amount(t.Memory)
	t.Attachments = canonicalAttachments(t.Attachments)
	t.Attributes = canonicalAttributes(t.Attributes)
	t.Containers = slices.Clone(t.Containers)
	sortBy(t.Containers, func(c Container) string { return c.ARN + c.Name })
	for i := range t.Containers {
		t.Containers[i] = t.Containers[i].canonical()
	}
	return t
}

func (c Container) canonical() Container {
	if c.ExitCode != nil { // ECS's API wraps a code that does not fit into 32 bits
		c.ExitCode = new(int64(uint32(*c.ExitCode)))
	}
	c.CPU, c.Memory = Amount(c.CPU), Amount(c.Memory)
	c.HealthStatus = KnownHealth(c.HealthStatus)
	c.NetworkBindings = slices.Clone(c.NetworkBindings)
	sortBy(c.NetworkBindings, func(b NetworkBinding) string {
		return fmt.Sprint(b.BindIP, " ", b.HostPort, " ", b.HostPortRange, " ", b.Protocol)
	})
	c.NetworkInterfaces = slices.Clone(c.NetworkInterfaces)
	sortBy(c.NetworkInterfaces, func(n NetworkInterface) string { return n.AttachmentID })
	c.GPUIDs = slices.Sorted(slices.Values(c.GPUIDs))
	c.ManagedAgents = slices.Clone(c.ManagedAgents)
	sortBy(c.ManagedAgents, func(a ManagedAgent) string { return a.Name })
	for i := range c.ManagedAgents {
		c.ManagedAgents[i].LastStartedAt = normalizeTime(c.ManagedAgents[i].LastStartedAt)
	}
	return c
}

// Equivalent reports whether two records of an instance are equal in the same sense as for tasks.
func (i Instance) Equivalent(other Instance) bool { return equalJSON(i.canonical(), other.canonical()) }

func (i Instance) canonical() Instance {
	i.UpdatedAt = "" // only events contain it
	i.RegisteredAt = normalizeTime(i.RegisteredAt)
	i.Attributes = canonicalAttributes(i.Attributes)
	i.Attachments = canonicalAttachments(i.Attachments)
	i.RegisteredResources = canonicalResources(i.RegisteredResources)
	i.RemainingResources = canonicalResources(i.RemainingResources)
	// Only Describe contains these. Of the health, an impairment alone is worth a correction of every record.
	i.RunningTasksCount, i.PendingTasksCount = nil, nil
	i.HealthStatus.ChangedAt = ""
	if i.HealthStatus.OverallStatus != "IMPAIRED" {
		i.HealthStatus.OverallStatus = ""
	}
	return i
}

func canonicalAttributes(attributes []Attribute) []Attribute {
	attributes = slices.Clone(attributes)
	sortBy(attributes, func(a Attribute) string { return a.Name + "=" + a.Value })
	return attributes
}

// canonicalAttachments sorts attachments. It drops types, which events and Describe spell differently, and details,
// of which Describe has more; both follow from the ID.
func canonicalAttachments(attachments []Attachment) []Attachment {
	attachments = slices.Clone(attachments)
	sortBy(attachments, func(a Attachment) string { return a.ID })
	for i := range attachments {
		attachments[i].Type, attachments[i].Details = "", nil
	}
	return attachments
}

// canonicalResources sorts resources. It treats a missing number as 0, because the SDK does not distinguish the two.
func canonicalResources(resources []Resource) []Resource {
	resources = slices.Clone(resources)
	sortBy(resources, func(r Resource) string { return r.Name })
	for i := range resources {
		r := &resources[i]
		r.StringSetValue = slices.Sorted(slices.Values(r.StringSetValue))
		r.IntegerValue = new(conv.Value(r.IntegerValue))
		r.LongValue = new(conv.Value(r.LongValue))
		r.DoubleValue = new(conv.Value(r.DoubleValue))
	}
	return resources
}

// Amount returns an amount of CPU or memory. It is empty if the task definition sets none, for which ECS has several
// forms.
func Amount(s string) string {
	if s == "null" || s == "0" {
		return ""
	}
	return s
}

// KnownHealth returns a health status, empty for UNKNOWN: events contain no health at all.
func KnownHealth(s string) string {
	if s == "UNKNOWN" {
		return ""
	}
	return s
}
