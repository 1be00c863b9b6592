"""Brawler: a passive market maker whose quotes are anchored to a deeper venue's price."""
