package show

import "strings"

// WithClusters returns a style whose Cluster distinguishes clusters with these ARNs.
func (s Style) WithClusters(arns ...string) Style {
	byName := map[string]string{}
	s.sharedNames = map[string]bool{}
	for _, arn := range arns {
		name := (Style{}).ID(arn)
		if other, known := byName[name]; known && other != arn {
			s.sharedNames[name] = true
		}
		byName[name] = arn
	}
	return s
}

// Cluster returns the name in a cluster's ARN, and for a name that clusters share, "name (region/account)". With
// Style.Wide it returns the whole ARN.
func (s Style) Cluster(arn string) string {
	name := s.ID(arn)
	if s.Wide || !s.sharedNames[name] {
		return name
	}
	return name + ofRegion(arn)
}

// ofRegion returns " (region/account)" of an ARN.
func ofRegion(arn string) string {
	fields := strings.Split(arn, ":")
	if len(fields) < 6 {
		return ""
	}
	return " (" + fields[3] + "/" + fields[4] + ")"
}

// StreamClusters names the clusters of a stream, whose later clusters are unknown.
type StreamClusters struct {
	first   string // account and region
	several bool   // whether the stream had more than one
}

// Name returns the name in a cluster's ARN. From the stream's second account or region on, it returns
// "name (region/account)", also for names that one cluster alone has. With Style.Wide it returns the whole ARN.
func (c *StreamClusters) Name(s Style, arn string) string {
	of := ofRegion(arn)
	if c.first == "" {
		c.first = of
	}
	c.several = c.several || of != c.first
	if s.Wide || !c.several {
		return s.ID(arn)
	}
	return s.ID(arn) + of
}
