// Package pages has the pages of package mfa as templates, with their looks.
package pages

import "embed"

// Files are the templates, the style sheet, the script and an icon.
//
//go:embed templates static
var Files embed.FS
