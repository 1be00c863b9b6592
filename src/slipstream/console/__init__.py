"""What a person looks at: terminal views, API and web page."""
