"""What people look at: tables (`table`), figures (`figures`), and cells side by side
(`comparison`).
"""
