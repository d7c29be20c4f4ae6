package robustness

import (
	"strings"

	"github.com/blox/blox/internal/arn"
)

// place is an account and region of AWS that Blox manages.
type place struct {
	account, region string
	role            string // ARN of the IAM role that Blox assumes for calls to it; empty for Blox's own account
}

const (
	ownAccount    = "123456789012"
	memberAccount = "210987654321"
	memberRole    = "arn:aws:iam::" + memberAccount + ":role/blox"
)

// allPlaces are the accounts and regions of --regions, Blox's own first. Each has clusters of the same names.
var allPlaces = []place{
	{ownAccount, "us-east-1", ""},
	{ownAccount, "eu-west-1", ""},
	{memberAccount, "us-east-1", memberRole},
	{memberAccount, "eu-west-1", memberRole},
}

// home is Blox's own account and region.
var home = allPlaces[0]

func (p place) String() string { return p.account + "/" + p.region }

// clusterARN returns the ARN of the place's cluster with that name.
func (p place) clusterARN(name string) string {
	return arn.ARN{
		Partition: "aws", Region: p.region, Account: p.account, Kind: arn.Cluster, ID: name,
	}.String()
}

// placeOf returns the account and region in an ARN. It returns false for any other text.
func placeOf(text string) (place, bool) {
	fields := strings.SplitN(text, ":", 6)
	if len(fields) < 6 || fields[0] != "arn" {
		return place{}, false
	}
	return place{account: fields[4], region: fields[3]}, true
}

// roleOf returns the role for calls to the account of an ARN.
func roleOf(text string) string {
	if p, found := placeOf(text); found && p.account == memberAccount {
		return memberRole
	}
	return ""
}

// clusterARNs returns the ARNs of the clusters whose instances change.
func clusterARNs(places []place) (arns []string) {
	for _, p := range places {
		for _, name := range clusterNames {
			arns = append(arns, p.clusterARN(name))
		}
	}
	return arns
}

// simulatorFlags returns the flags of ecs-sim for the places. It also has accounts and regions that no place needs.
func simulatorFlags(places []place) (args []string) {
	given := map[string]bool{}
	for _, p := range places {
		for _, flag := range [][]string{{"--account", p.account}, {"--region", p.region}} {
			if !given[flag[1]] {
				given[flag[1]] = true
				args = append(args, flag...)
			}
		}
	}
	return args
}

// sourceFlags returns the flags of cluster-state-service for the events of the places.
func sourceFlags(places []place, queue string) (args []string) {
	if len(places) == 1 {
		return []string{"--queue", queue}
	}
	for _, p := range places {
		source := "region=" + p.region + ",queue=" + queue
		if p.role != "" {
			source += ",role=" + p.role
		}
		args = append(args, "--source", source)
	}
	return args
}
