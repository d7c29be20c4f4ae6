package state

import (
	"slices"
	"strings"
)

// maxSearch is the maximum length of a search, which is compared with several fields of every entity.
const maxSearch = 256

// Search matches entities by a text that one of the fields that people recognise contains, in any case. The zero value
// matches every entity.
type Search string

// parseSearch converts the letters of ASCII to lower case.
func parseSearch(s string) (Search, error) {
	if len(s) > maxSearch {
		return "", &ParameterError{Parameter: "search", Given: s, Accepted: "at most 256 bytes"}
	}
	text := []byte(s)
	for i, c := range text {
		text[i] = lower(c)
	}
	return Search(text), nil
}

func (s Search) matchesTask(t *TaskSummary) bool {
	return s == "" || s.inARN(t.ARN) || s.inARN(t.TaskDefinitionARN) || s.inARN(t.ContainerInstanceARN) ||
		s.in(t.Group) || s.in(t.StartedBy) || s.in(t.StoppedReason) || s.in(t.StopCode) ||
		s.in(t.CapacityProviderName) || s.in(t.AvailabilityZone)
}

func (s Search) matchesInstance(i *Instance) bool {
	return s == "" || s.inARN(i.ARN) || s.in(i.EC2InstanceID) || s.in(i.CapacityProviderName) ||
		s.in(i.VersionInfo.AgentVersion) || s.in(i.StatusReason) ||
		slices.ContainsFunc(i.Attributes, func(a Attribute) bool { return s.in(a.Value) })
}

// inARN searches the part after the last slash: the others are alike in all ARNs. A text that begins like an ARN is
// compared with the whole of it.
func (s Search) inARN(arn string) bool {
	if !strings.HasPrefix(string(s), "arn:") {
		arn = arn[strings.LastIndexByte(arn, '/')+1:]
	}
	return s.in(arn)
}

// in compares the letters of ASCII in any case. It runs for every field of every entity, so it allocates nothing.
func (s Search) in(text string) bool {
	for i := 0; i+len(s) <= len(text); i++ {
		if lower(text[i]) == s[0] && s.prefixes(text[i:]) {
			return true
		}
	}
	return false
}

func (s Search) prefixes(text string) bool {
	for i := range len(s) {
		if lower(text[i]) != s[i] {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
