package arn

import (
	"fmt"
	"regexp"
)

// Role is the ARN of an IAM role, parsed.
type Role struct {
	Partition string
	Account   string
}

// Source: "IAM identifiers" in the AWS Identity and Access Management User Guide.
var rolePattern = regexp.MustCompile(`^arn:(aws[a-z-]*):iam::(\d{12}):role/([\x21-\x7e]{0,510}/)?[\w+=,.@-]{1,64}$`)

// ParseRole parses the ARN of an IAM role. An error wraps ErrMalformed.
func ParseRole(s string) (Role, error) {
	match := rolePattern.FindStringSubmatch(s)
	if match == nil {
		return Role{}, fmt.Errorf("%w ARN %.300q: not of an IAM role", ErrMalformed, s)
	}
	return Role{Partition: match[1], Account: match[2]}, nil
}

// IsRegion reports whether s is the name of a region.
func IsRegion(s string) bool { return isRegion(s) }

// IsAccount reports whether s is the ID of an account.
func IsAccount(s string) bool { return len(s) == 12 && only(s, digit) }
