// Package arn parses the ARNs (Amazon Resource Names) and names of ECS, and the ARNs of IAM roles.
//
// Task and container instance ARNs have two forms: the short one, …:task/<id>, and since 2021 the long one,
// …:task/<cluster>/<id>. Every partition is accepted. Source: "Amazon Resource Names (ARNs) and IDs" in the Amazon
// ECS Developer Guide.
package arn

import (
	"errors"
	"fmt"
	"strings"
)

// Kind is the resource type of an ECS ARN, spelled as in the ARN itself.
type Kind string

// The kinds that Blox parses.
const (
	Cluster           Kind = "cluster"
	Task              Kind = "task"
	ContainerInstance Kind = "container-instance"
	TaskDefinition    Kind = "task-definition"
	Service           Kind = "service"
)

// ErrMalformed is wrapped by every error of this package.
var ErrMalformed = errors.New("malformed")

// ARN is one parsed ECS ARN.
type ARN struct {
	Partition string // aws, aws-cn, aws-us-gov, …
	Region    string // eu-west-1
	Account   string // twelve digits
	Kind      Kind
	// Cluster is the cluster's name; empty in short ARNs of tasks, container instances and services, and in task
	// definitions.
	Cluster string
	// ID is the last part: a task's or container instance's id, a cluster's or service's name, or <family>:<revision>.
	ID string
}

// Character classes. All are safe in a path segment and an etcd key: no slash, no space, no control character.
const (
	lower = 1 << iota
	upper
	digit
	dash
	underscore

	word = lower | upper | digit | dash | underscore
)

// classOf has the class of each character; 0 for all that belong to none.
var classOf = func() (classes [256]uint8) {
	for c := range classes {
		switch c := byte(c); {
		case 'a' <= c && c <= 'z':
			classes[c] = lower
		case 'A' <= c && c <= 'Z':
			classes[c] = upper
		case '0' <= c && c <= '9':
			classes[c] = digit
		case c == '-':
			classes[c] = dash
		case c == '_':
			classes[c] = underscore
		}
	}
	return classes
}()

// only reports whether s is not empty and has characters of the classes alone.
func only(s string, classes uint8) bool {
	for i := range len(s) {
		if classOf[s[i]]&classes == 0 {
			return false
		}
	}
	return s != ""
}

func isPartition(s string) bool {
	rest, aws := strings.CutPrefix(s, "aws")
	return aws && (rest == "" || only(rest, lower|dash))
}

// isRegion reports whether s is letters and then one or more parts of letters and digits: eu-west-1.
func isRegion(s string) bool {
	first, rest, more := strings.Cut(s, "-")
	if !more || len(first) < 2 || !only(first, lower) {
		return false
	}
	for more {
		var part string
		if part, rest, more = strings.Cut(rest, "-"); !only(part, lower|digit) {
			return false
		}
	}
	return true
}

func isName(s string) bool { return len(s) <= 255 && only(s, word) }

// isRevisioned reports whether s is <family>:<revision>. Revisions start at 1.
func isRevisioned(s string) bool {
	family, revision, _ := strings.Cut(s, ":")
	return isName(family) && len(revision) <= 10 && only(revision, digit) && revision[0] != '0'
}

// Parse parses an ARN of any Kind above.
func Parse(s string) (ARN, error) {
	malformed := func(what string) (ARN, error) {
		return ARN{}, fmt.Errorf("%w ARN %.300q: %s", ErrMalformed, s, what)
	}
	var fields [6]string // an array, unlike the result of strings.SplitN, needs no allocation
	rest, more := s, true
	for i := range len(fields) - 1 {
		fields[i], rest, more = strings.Cut(rest, ":")
	}
	fields[5] = rest
	if !more || fields[0] != "arn" {
		return malformed("not arn:<partition>:ecs:<region>:<account>:<resource>")
	}
	if !isPartition(fields[1]) {
		return malformed("unknown partition")
	}
	if fields[2] != "ecs" {
		return malformed("not of the service ecs")
	}
	if !isRegion(fields[3]) {
		return malformed("bad region")
	}
	if !IsAccount(fields[4]) {
		return malformed("the account is not twelve digits")
	}
	kind, rest, _ := strings.Cut(fields[5], "/")
	a := ARN{Partition: fields[1], Region: fields[3], Account: fields[4], Kind: Kind(kind)}
	switch a.Kind {
	case Cluster:
		a.Cluster, a.ID = rest, rest
	case TaskDefinition:
		if !isRevisioned(rest) {
			return malformed("not <family>:<revision>")
		}
		a.ID = rest
		return a, nil
	case Task, ContainerInstance, Service:
		var long bool
		if a.Cluster, a.ID, long = strings.Cut(rest, "/"); !long {
			a.Cluster, a.ID = "", rest
		} else if !IsClusterName(a.Cluster) {
			return malformed("bad cluster name")
		}
	default:
		return malformed("unknown resource type")
	}
	if !isName(a.ID) {
		return malformed("bad id")
	}
	return a, nil
}

// ParseKind is Parse for callers that accept one kind only.
func ParseKind(s string, kind Kind) (ARN, error) {
	a, err := Parse(s)
	if err == nil && a.Kind != kind {
		return ARN{}, fmt.Errorf("%w ARN %.300q: not a %s", ErrMalformed, s, kind)
	}
	return a, err
}

// IsClusterName reports whether ECS allows s as the name of a cluster.
func IsClusterName(s string) bool { return isName(s) }

// String is the ARN as ECS writes it: Parse(s).String() == s.
func (a ARN) String() string {
	prefix := "arn:" + a.Partition + ":ecs:" + a.Region + ":" + a.Account + ":" + string(a.Kind) + "/"
	if a.Cluster != "" && a.Kind != Cluster {
		prefix += a.Cluster + "/"
	}
	return prefix + a.ID
}

// SameRegion reports whether both have the same partition, region and account.
func (a ARN) SameRegion(b ARN) bool {
	return a.Partition == b.Partition && a.Region == b.Region && a.Account == b.Account
}

// ClusterARN is the ARN of the named cluster in a's partition, region and account.
func (a ARN) ClusterARN(name string) ARN {
	return ARN{Partition: a.Partition, Region: a.Region, Account: a.Account, Kind: Cluster, Cluster: name, ID: name}
}
