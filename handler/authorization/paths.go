package authorization

import "strings"

// pathPattern is a path, or with a trailing * all paths with that prefix.
type pathPattern struct {
	text   string
	prefix bool
}

func pathPatterns(texts []string) []pathPattern {
	patterns := make([]pathPattern, 0, len(texts))
	for _, text := range texts {
		prefix, ok := strings.CutSuffix(text, "*")
		patterns = append(patterns, pathPattern{text: prefix, prefix: ok})
	}
	return patterns
}

func (p pathPattern) matches(path string) bool {
	if p.prefix {
		return strings.HasPrefix(path, p.text)
	}
	return path == p.text
}
